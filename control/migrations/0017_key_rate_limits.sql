-- Up Migration

-- Requests per second with this key, beside the tenant's; null: only the tenant's.
alter table control.tenant_keys add column rate_limit integer check (rate_limit > 0);

-- Down Migration
