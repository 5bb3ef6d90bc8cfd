-- Up Migration

-- Backend processes that serve one cluster's tenant alone, each kept by the control process `owner`.
create table control.dedicated_backends (
  server text not null references control.servers on delete cascade,
  owner text not null,
  url text not null,
  seen_at timestamptz not null default now(),
  primary key (server, owner)
);

-- Down Migration
