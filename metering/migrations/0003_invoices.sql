-- Up Migration

-- Who is billed and on which plan when: what control tells us. `segments` is the whole history, oldest first.
create table metering.billed_tenants (
  tenant_id text primary key,
  name text not null,
  version bigint not null,
  segments jsonb not null,
  customer jsonb,
  updated_at timestamptz not null default now()
);

-- The last number given out in each series; the row is locked while invoices are numbered, so there are no gaps.
create table metering.invoice_numbers (series text primary key, last bigint not null);

create table metering.invoices (
  invoice_id text primary key,
  tenant_id text not null,
  month date not null,
  kind text not null check (kind in ('invoice', 'credit_note')),
  series text not null,
  number bigint not null,
  state text not null check (state in ('issued', 'paid', 'void')),
  currency text not null,
  total_micros bigint not null,
  document jsonb not null,
  corrects text references metering.invoices,
  issued_at timestamptz not null,
  paid_at timestamptz,
  voided_at timestamptz,
  note text,
  unique (series, number)
);
create unique index invoices_one_a_month on metering.invoices (tenant_id, month) where kind = 'invoice' and state <> 'void';
create index invoices_tenant on metering.invoices (tenant_id, month desc);

-- What each invoice bills of each month: its own, and adjustments of earlier ones for usage that came late.
create table metering.billed_months (
  invoice_id text not null references metering.invoices,
  tenant_id text not null,
  month date not null,
  rated_micros bigint not null,
  primary key (invoice_id, month)
);
create index billed_months_tenant on metering.billed_months (tenant_id, month);

-- An invoice that was issued changes its state only: issued to paid, issued to void.
create function metering.protect_invoice() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'Invoices are never deleted' using errcode = 'restrict_violation';
  end if;
  if (new.invoice_id, new.tenant_id, new.month, new.kind, new.series, new.number, new.currency, new.total_micros,
      new.document, new.corrects, new.issued_at)
     is distinct from
     (old.invoice_id, old.tenant_id, old.month, old.kind, old.series, old.number, old.currency, old.total_micros,
      old.document, old.corrects, old.issued_at) then
    raise exception 'An issued invoice is immutable' using errcode = 'restrict_violation';
  end if;
  if new.state <> old.state and old.state <> 'issued' then
    raise exception 'An invoice that is % stays so', old.state using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger immutable before update or delete on metering.invoices
  for each row execute function metering.protect_invoice();
create trigger append_only before update or delete on metering.billed_months
  for each row execute function metering.refuse_change();
