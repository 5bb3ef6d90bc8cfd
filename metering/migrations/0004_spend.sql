-- Up Migration

-- What a tenant wants to be told about, and where it wants to be stopped. Amounts are of one month, in micro-units.
create table metering.spend_limits (
  tenant_id text primary key,
  alerts_micros bigint[] not null default '{}',
  cap_micros bigint check (cap_micros >= 0),
  updated_at timestamptz not null default now()
);

-- Each amount that was reached, once a month. Whoever acts on it (control: webhooks, the cap) reads on from the last it saw.
create table metering.spend_events (
  event_id bigint generated always as identity primary key,
  tenant_id text not null,
  month date not null,
  kind text not null check (kind in ('alert', 'cap')),
  amount_micros bigint not null,
  total_micros bigint not null,
  reached_at timestamptz not null,
  unique (tenant_id, month, kind, amount_micros)
);
