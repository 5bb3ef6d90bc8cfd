-- Up Migration

-- Usage reported to Stripe, a day at a time: `part` 1 is the day as it was six hours after its end, later parts are what came
-- late. A value never changes once it stands here, so an event that may have been sent is sent again as it was.
create table metering.stripe_meter_events (
  tenant_id text not null,
  day date not null,
  meter text not null,
  part integer not null,
  value bigint not null check (value > 0),
  state text not null default 'open' check (state in ('open', 'sent')),
  first_attempt_at timestamptz,
  next_attempt_at timestamptz not null default '-infinity',
  last_error text,
  primary key (tenant_id, day, meter, part)
);
create index stripe_meter_events_open on metering.stripe_meter_events (next_attempt_at) where state = 'open';
