-- Up Migration

-- When a tenant was to be served: active, asleep (a request wakes it) or on the move. Kept by a trigger, as plan segments are.
create table control.serving_segments (
  tenant_id text not null references control.tenants,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (tenant_id, started_at)
);
create unique index serving_segments_open on control.serving_segments (tenant_id) where ended_at is null;
create function control.keep_serving_segments() returns trigger language plpgsql as $$
declare
  serves boolean := new.status in ('active', 'paused', 'migrating');
begin
  if serves then
    insert into control.serving_segments (tenant_id, started_at) values (new.tenant_id, clock_timestamp())
    on conflict (tenant_id) where ended_at is null do nothing;
  else
    update control.serving_segments set ended_at = clock_timestamp() where tenant_id = new.tenant_id and ended_at is null;
  end if;
  return null;
end
$$;
create trigger keep_serving_segments after insert or update of status on control.tenants
  for each row execute function control.keep_serving_segments();
insert into control.serving_segments (tenant_id, started_at)
  select tenant_id, created_at from control.tenants where status in ('active', 'paused', 'migrating');

-- Who looks after tenants at the moment, and since when without a break.
create table control.probers (
  prober_id text primary key,
  seen_at timestamptz not null default now()
);
-- Up to when somebody looked, and the times when nobody did: those count neither as up nor as down.
create table control.observation (
  one_row boolean primary key default true check (one_row),
  observed_until timestamptz not null
);
create table control.observation_gaps (
  started_at timestamptz primary key,
  ended_at timestamptz not null
);

-- What each prober sees of a tenant that does not answer it. Several must agree before it is an incident.
create table control.outage_views (
  tenant_id text not null references control.tenants,
  prober_id text not null,
  since timestamptz not null,
  until timestamptz,
  cause text not null,
  detail text not null,
  primary key (tenant_id, prober_id, since)
);

create table control.incidents (
  incident_id text primary key,
  tenant_id text not null references control.tenants,
  cause text not null,
  detail text not null,
  -- What incidents of one fault have in common, for grouping: the cause and where it lies.
  scope text not null,
  started_at timestamptz not null,
  ended_at timestamptz check (ended_at >= started_at),
  alert_state text not null default 'none' check (alert_state in ('none', 'open', 'over'))
);
create unique index incidents_open on control.incidents (tenant_id) where ended_at is null;
create index incidents_tenant on control.incidents (tenant_id, started_at);
create index incidents_alert on control.incidents (started_at) where alert_state <> 'over';
create index incidents_time on control.incidents (started_at);
alter table control.tenants
  add column down_since timestamptz,
  -- Whether its status is shown to everybody.
  add column public_status boolean not null default false;
create index tenants_down on control.tenants (tenant_id) where down_since is not null;

create table control.maintenance_windows (
  window_id text primary key,
  -- Null: the whole platform.
  tenant_id text references control.tenants,
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at >= starts_at),
  reason text not null,
  created_at timestamptz not null default now()
);
create index maintenance_windows_time on control.maintenance_windows (ends_at);

-- Months that are over, as they were measured: what was promised, kept and given back does not change any more.
create table control.sla_months (
  tenant_id text not null references control.tenants,
  month date not null,
  report jsonb not null,
  credit_micros bigint not null,
  -- When metering took the credit over; set at once where there is none.
  credited_at timestamptz,
  primary key (tenant_id, month)
);
create index sla_months_credit on control.sla_months (month) where credited_at is null;

-- Down Migration
