-- Up Migration

-- compute: for how long servers of a tenant's own ran. `compute_ms` is server-milliseconds.
alter table metering.ledger add column compute_ms bigint;
do $$
declare
  part regclass;
begin
  -- Partitions keep a copy of the check of their own.
  alter table metering.ledger drop constraint ledger_kind_check;
  for part in select inhrelid::regclass from pg_inherits where inhparent = 'metering.ledger'::regclass loop
    execute format('alter table %s drop constraint if exists ledger_kind_check', part);
  end loop;
  alter table metering.ledger add constraint ledger_kind_check
    check (kind in ('request', 'storage', 'realtime', 'compute', 'unreadable', 'hole', 'end'));
end $$;

-- `faults`: those of the requests that failed through a fault of ours (502, 503, 504): counted and shown, never billed.
alter table metering.usage_hourly add column faults bigint not null default 0, add column compute_ms bigint not null default 0;
alter table metering.daily_totals add column faults bigint not null default 0, add column compute_ms bigint not null default 0;

update metering.usage_hourly u set faults = l.faults
from (select tenant_id, hour, sum(records) as faults from metering.ledger
      where kind = 'request' and status in (502, 503, 504) group by 1, 2) l
where u.tenant_id = l.tenant_id and u.hour = l.hour;
update metering.daily_totals t set faults = d.faults
from (select tenant_id, day, sum(requests) as faults from metering.usage_daily where status in (502, 503, 504) group by 1, 2) d
where t.tenant_id = d.tenant_id and t.day = d.day;
