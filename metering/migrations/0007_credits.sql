-- Up Migration

-- What a tenant is given back by its coming invoices (an SLA credit, goodwill). The key makes it once, however often it is told.
create table metering.credits (
  tenant_id text not null,
  key text not null,
  reason text not null,
  amount_micros bigint not null check (amount_micros > 0),
  created_at timestamptz not null,
  primary key (tenant_id, key)
);
create trigger append_only before update or delete on metering.credits
  for each row execute function metering.refuse_change();

-- How much of a credit an invoice took; what a void invoice took is free again.
create table metering.credit_uses (
  invoice_id text not null references metering.invoices,
  tenant_id text not null,
  key text not null,
  amount_micros bigint not null check (amount_micros > 0),
  primary key (invoice_id, key),
  foreign key (tenant_id, key) references metering.credits
);
create index credit_uses_credit on metering.credit_uses (tenant_id, key);
create trigger append_only before update or delete on metering.credit_uses
  for each row execute function metering.refuse_change();
