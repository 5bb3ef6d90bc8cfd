-- Up Migration

-- Browsers signed in to the dashboard. A session lives as long as the platform key behind it, and never longer.
create table control.sessions (
  session_id text primary key,
  digest text not null unique,
  key_id text not null references control.platform_keys on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_key on control.sessions (key_id);
create index sessions_expiry on control.sessions (expires_at);

-- Down Migration
