-- Up Migration

-- What each tenant has asked for this month, as metering last told: for lists and their order. The truth is metering's.
create table control.tenant_requests (
  tenant_id text primary key references control.tenants,
  month text not null,
  requests bigint not null
);

-- Down Migration
