-- Up Migration

-- Which versions of our objects a tenant has: those that control lays down, and the tables that backends make for it.
alter table control.tenants add column objects_version integer not null default 0, add column tables_version integer not null default 0;
-- The last upgrade that failed, until one succeeds.
alter table control.tenants add column upgrade_failed_at timestamptz, add column upgrade_error text;
create index tenants_objects on control.tenants (objects_version, tables_version) where purged_at is null;

-- Down Migration
