-- Up Migration

-- The order of creation, for lists: ids of tenants may have been made ahead.
alter table control.tenants add column position bigint generated always as identity;
create unique index tenants_position on control.tenants (position);

-- Ids whose role is on a server already, for tenants to come. See provisioners/spare-roles.ts.
create table control.spare_roles (
  tenant_id text primary key,
  server text not null references control.servers
);
create index spare_roles_server on control.spare_roles (server, tenant_id);

-- Down Migration
