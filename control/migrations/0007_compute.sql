-- Up Migration

-- Up to when the running time of a tenant's own servers was measured.
create table control.compute_measures (tenant_id text primary key, measured_until timestamptz not null);

-- Facts that metering was not told of yet, in a sequence without holes: it is drawn under the counter's row lock.
create table control.compute_counter (one boolean primary key default true check (one), last bigint not null);
insert into control.compute_counter (last) values (0);
create table control.compute_facts (
  sequence bigint primary key,
  tenant_id text not null,
  ended_at timestamptz not null,
  ran_ms bigint not null
);

-- Down Migration
