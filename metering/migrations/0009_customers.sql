-- Up Migration

-- Whom invoices name. Of metering alone: a plan history that control tells never touches it.
create table metering.customers (
  tenant_id text primary key,
  customer jsonb not null,
  updated_at timestamptz not null default now()
);
insert into metering.customers (tenant_id, customer)
  select tenant_id, customer from metering.billed_tenants where customer is not null;
alter table metering.billed_tenants drop column customer;

create index invoices_newest on metering.invoices (issued_at desc, invoice_id desc);
create index invoices_credit_notes on metering.invoices (corrects) where corrects is not null;
