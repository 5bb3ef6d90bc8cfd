-- Up Migration

create table metering.stripe_customers (
  tenant_id text primary key,
  customer_id text not null
);

-- Each invoice's way to Stripe. `open`: to be pushed; `done`: finalised there, or settled as it is here; `failed`: a human looks.
create table metering.stripe_invoices (
  invoice_id text primary key references metering.invoices,
  stripe_invoice_id text,
  state text not null default 'open' check (state in ('open', 'done', 'failed')),
  settled boolean not null default false,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text
);
create index stripe_invoices_open on metering.stripe_invoices (next_attempt_at) where state = 'open';
