-- Up Migration

-- On which plan and isolation a tenant was from when until when: what metering bills by.
create table control.plan_segments (
  tenant_id text not null references control.tenants,
  started_at timestamptz not null,
  ended_at timestamptz,
  plan text not null,
  isolation text not null,
  primary key (tenant_id, started_at)
);
create unique index plan_segments_open on control.plan_segments (tenant_id) where ended_at is null;

-- Histories that metering has not been told of yet; the version orders what it is told.
create sequence control.plan_history_version as bigint;
create table control.plan_history_outbox (
  tenant_id text primary key references control.tenants,
  version bigint not null default nextval('control.plan_history_version')
);

-- How far a stream of another service was read.
create table control.reading_positions (name text primary key, position bigint not null);

-- Kept by a trigger, so that no way of changing a tenant forgets it. A tenant is billed from when it first serves until it is
-- deleted: also while it is suspended, paused or on the move.
create function control.keep_plan_segments() returns trigger language plpgsql as $$
declare
  is_billed boolean := new.status in ('active', 'suspended', 'paused', 'migrating');
  open_segment control.plan_segments;
begin
  select * into open_segment from control.plan_segments where tenant_id = new.tenant_id and ended_at is null;
  if new.status = 'provisioning'
    or (is_billed and open_segment.plan = new.plan and open_segment.isolation = new.isolation)
    or (not is_billed and open_segment.tenant_id is null) then
    return null;
  end if;
  update control.plan_segments set ended_at = clock_timestamp() where tenant_id = new.tenant_id and ended_at is null;
  if is_billed then
    insert into control.plan_segments (tenant_id, started_at, plan, isolation)
    values (new.tenant_id, clock_timestamp(), new.plan, new.isolation);
  end if;
  insert into control.plan_history_outbox (tenant_id) values (new.tenant_id)
  on conflict (tenant_id) do update set version = nextval('control.plan_history_version');
  return null;
end
$$;
create trigger keep_plan_segments after insert or update of status, plan, isolation on control.tenants
  for each row execute function control.keep_plan_segments();

insert into control.plan_segments (tenant_id, started_at, plan, isolation)
  select tenant_id, created_at, plan, isolation from control.tenants
  where status in ('active', 'suspended', 'paused', 'migrating');
insert into control.plan_history_outbox (tenant_id) select tenant_id from control.plan_segments;

-- Down Migration
