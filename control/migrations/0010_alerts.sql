-- Up Migration

alter table control.alerts
  -- What alerts of one cause have in common: they are told together.
  add column group_key text,
  add column attributes jsonb not null default '{}',
  -- When it, and its end, were told (or passed over, being silenced).
  add column told_at timestamptz,
  add column end_told_at timestamptz;
update control.alerts set group_key = fingerprint, told_at = opened_at, end_told_at = resolved_at;
alter table control.alerts alter column group_key set not null;
create index alerts_untold on control.alerts (opened_at) where told_at is null;
create index alerts_end_untold on control.alerts (resolved_at) where resolved_at is not null and end_told_at is null;
create index alerts_fingerprint on control.alerts (fingerprint);
create index alerts_group on control.alerts (group_key) where resolved_at is null;
create index alerts_resolved on control.alerts (resolved_at);

create table control.silences (
  silence_id text primary key,
  -- What is not null must be equal.
  kind text,
  severity text,
  tenant_id text,
  group_key text,
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at >= starts_at),
  reason text not null,
  created_at timestamptz not null default now(),
  check (coalesce(kind, severity, tenant_id, group_key) is not null)
);
create index silences_end on control.silences (ends_at);

-- What is to be mailed, until it was or was given up.
create table control.alert_mails (
  mail_id text primary key,
  recipient text not null,
  subject text not null,
  body text not null,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);
create index alert_mails_due on control.alert_mails (next_attempt_at) where status = 'pending';
create index alert_mails_age on control.alert_mails (created_at);

-- Down Migration
