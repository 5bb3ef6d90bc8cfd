-- Up Migration

create table control.webhooks (
  webhook_id text primary key,
  url text not null,
  description text,
  -- Types that are sent; empty: all.
  events text[] not null default '{}',
  sealed_secret text not null,
  created_at timestamptz not null default now(),
  -- Set when it was given up: too many messages in a row could not be delivered.
  disabled_at timestamptz,
  failed_messages integer not null default 0
);

create table control.webhook_deliveries (
  message_id text not null,
  webhook_id text not null references control.webhooks on delete cascade,
  type text not null,
  payload text not null,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  last_status integer,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (message_id, webhook_id)
);
create index webhook_deliveries_due on control.webhook_deliveries (next_attempt_at) where status = 'pending';
create index webhook_deliveries_age on control.webhook_deliveries (created_at);
create index webhook_deliveries_webhook on control.webhook_deliveries (webhook_id, created_at);

create table control.access_grants (
  grant_id text primary key,
  tenant_id text not null references control.tenants,
  requested_by text not null,
  reason text not null,
  minutes integer not null check (minutes between 1 and 1440),
  can_write boolean not null,
  status text not null default 'pending' check (status in ('pending', 'approved', 'denied', 'ended')),
  requested_at timestamptz not null default now(),
  decided_at timestamptz,
  decided_by text,
  expires_at timestamptz,
  uses integer not null default 0,
  last_used_at timestamptz
);
create index access_grants_tenant on control.access_grants (tenant_id, grant_id);

create table control.alerts (
  alert_id text primary key,
  -- One open alert for one cause.
  fingerprint text not null,
  kind text not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  tenant_id text,
  detail text not null,
  opened_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  resolved_at timestamptz
);
create unique index alerts_open on control.alerts (fingerprint) where resolved_at is null;

-- Down Migration
