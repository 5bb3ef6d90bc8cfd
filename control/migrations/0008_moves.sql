-- Up Migration

-- A tenant on its way from one server to another; the row outlives the move until the next one. See moving/README.md.
create table control.moves (
  tenant_id text primary key references control.tenants,
  operation_id text not null references control.operations on delete cascade,
  from_isolation text not null,
  from_server text not null,
  to_isolation text not null,
  -- Chosen by the first step.
  to_server text,
  -- 'sealing' is written before the source may be sealed: from then on only the source knows which way it went.
  phase text not null default 'copying' check (phase in ('copying', 'sealing', 'switched')),
  created_at timestamptz not null default now()
);

-- Until when gateways let writes wait: set for the moment of the cut, and over by itself.
alter table control.tenants add column writes_held_until timestamptz;

-- Down Migration
