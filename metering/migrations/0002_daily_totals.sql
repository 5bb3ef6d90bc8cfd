-- Up Migration

-- A month read from hours is 744 rows that lie apart; from days it is 31. So both have totals by day too.
create table metering.daily_totals (
  tenant_id text not null,
  day date not null,
  requests bigint not null default 0,
  egress_bytes bigint not null default 0,
  ingress_bytes bigint not null default 0,
  messages bigint not null default 0,
  primary key (tenant_id, day)
) with (fillfactor = 70);

insert into metering.daily_totals
select tenant_id, (hour at time zone 'UTC')::date, sum(requests), sum(egress_bytes), sum(ingress_bytes), sum(messages)
from metering.usage_hourly group by 1, 2;

create table metering.gauge_daily (
  tenant_id text not null,
  meter text not null,
  day date not null,
  value_ms numeric not null default 0,
  peak bigint not null default 0,
  last_value bigint not null default 0,
  last_at timestamptz not null,
  primary key (tenant_id, meter, day)
) with (fillfactor = 70);

insert into metering.gauge_daily
select tenant_id, meter, (hour at time zone 'UTC')::date, sum(value_ms), max(peak),
  (array_agg(last_value order by hour desc))[1], max(last_at)
from metering.gauge_hourly group by 1, 2, 3;
