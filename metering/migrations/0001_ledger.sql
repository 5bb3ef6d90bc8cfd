-- Up Migration

-- One row per producer (one process boot of whoever writes usage). `mark`: every record up to this sequence is counted.
create table metering.producers (
  producer text primary key,
  mark bigint not null default 0 check (mark >= 0),
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  ended_at timestamptz
);

-- The ledger: append-only. A `request` row is the sum of the like requests of one batch; every other row is one record.
--   unreadable: records that no one can read (set aside with their text); hole: records that a damaged disk lost;
--   end: the producer is gone.
create table metering.ledger (
  hour timestamptz not null,
  kind text not null check (kind in ('request', 'storage', 'realtime', 'unreadable', 'hole', 'end')),
  producer text not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  records bigint not null check (records > 0),
  tenant_id text,
  at timestamptz,
  method text,
  endpoint text,
  status smallint,
  egress_bytes bigint not null default 0,
  ingress_bytes bigint not null default 0,
  duration_us bigint not null default 0,
  documents_bytes bigint,
  files_bytes bigint,
  connections bigint,
  messages bigint,
  detail text,
  recorded_at timestamptz not null default now()
) partition by range (hour);
create index ledger_tenant on metering.ledger (tenant_id, hour);
create index ledger_producer on metering.ledger (producer, first_sequence);

-- Catches what no month's partition takes (a producer with a wrong clock): the sink reports when it is not empty.
create table metering.ledger_default partition of metering.ledger default;

create function metering.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'This table is append-only' using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete on metering.ledger
  for each row execute function metering.refuse_change();

-- Makes the partitions of the month of `from_day` and of `months` months after it; rows of such a month that the default
-- partition has caught move to it. Safe to call from any number of sinks at once.
create function metering.ensure_ledger_partitions(from_day date, months integer) returns void language plpgsql as $$
declare
  month date := date_trunc('month', from_day);
  name text;
  starts timestamptz;
  ends timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('metering.ledger partitions'));
  for i in 0..months loop
    name := 'ledger_' || to_char(month, 'YYYY_MM');
    starts := month::timestamp at time zone 'UTC';
    ends := (month + interval '1 month')::timestamp at time zone 'UTC';
    if to_regclass('metering.' || name) is null then
      execute format('create table metering.%I (like metering.ledger including defaults including constraints)', name);
      execute format('alter table metering.ledger_default disable trigger append_only');
      execute format('with moved as (delete from metering.ledger_default where hour >= %L and hour < %L returning *)
                      insert into metering.%I select * from moved', starts, ends, name);
      execute format('alter table metering.ledger_default enable trigger append_only');
      execute format('alter table metering.ledger attach partition metering.%I for values from (%L) to (%L)',
                     name, starts, ends);
    end if;
    month := month + interval '1 month';
  end loop;
end $$;

-- Rollups: derived from the ledger in the same transaction that writes it.
create table metering.usage_hourly (
  tenant_id text not null,
  hour timestamptz not null,
  requests bigint not null default 0,
  egress_bytes bigint not null default 0,
  ingress_bytes bigint not null default 0,
  messages bigint not null default 0,
  primary key (tenant_id, hour)
) with (fillfactor = 70);

create table metering.usage_daily (
  tenant_id text not null,
  day date not null,
  method text not null,
  endpoint text not null,
  status smallint not null,
  requests bigint not null default 0,
  egress_bytes bigint not null default 0,
  ingress_bytes bigint not null default 0,
  duration_us bigint not null default 0,
  primary key (tenant_id, day, method, endpoint, status)
) with (fillfactor = 70);

-- What is held over time (bytes, connections): the value now, by source, and per hour the integral over time and the peak.
create table metering.gauges (
  tenant_id text not null,
  meter text not null,
  source text not null,
  value bigint not null,
  since timestamptz not null,
  primary key (tenant_id, meter, source)
) with (fillfactor = 70);
create index gauges_source on metering.gauges (source) where source <> '';

create table metering.gauge_hourly (
  tenant_id text not null,
  meter text not null,
  hour timestamptz not null,
  value_ms numeric not null default 0,
  peak bigint not null default 0,
  last_value bigint not null default 0,
  last_at timestamptz not null,
  primary key (tenant_id, meter, hour)
) with (fillfactor = 70);

-- Sinks that are alive, so that they share the partitions of the stream evenly.
create table metering.sinks (
  sink text primary key,
  seen_at timestamptz not null default now()
);
