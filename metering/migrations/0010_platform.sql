-- Up Migration

-- All tenants' requests by day and status, for charts of the whole platform: a month of 10 000 tenants' days and endpoints is
-- millions of rows, of these some hundred. `slot` spreads the writes of sinks that run side by side.
create table metering.platform_daily (
  day date not null,
  status smallint not null,
  slot smallint not null,
  requests bigint not null default 0,
  egress_bytes bigint not null default 0,
  ingress_bytes bigint not null default 0,
  duration_us bigint not null default 0,
  primary key (day, status, slot)
) with (fillfactor = 70);

insert into metering.platform_daily
select day, status, 0, sum(requests), sum(egress_bytes), sum(ingress_bytes), sum(duration_us)
from metering.usage_daily group by 1, 2;

-- What the open month comes to so far: every tenant's draft, added up now and then.
create table metering.revenue_so_far (
  month date primary key,
  currency text not null,
  tenants integer not null,
  total_micros bigint not null,
  by_plan jsonb not null,
  as_of timestamptz not null
);
create index invoices_month on metering.invoices (month);
