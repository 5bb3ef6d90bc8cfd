-- Up Migration

-- A tenant's server that is a cluster of CloudNativePG: `node` is the namespace, `sealed_replica_password` the administrator's password.
alter table control.servers drop constraint servers_kind_check;
alter table control.servers add constraint servers_kind_check check (kind in ('shared', 'tenant', 'cluster', 'kubernetes'));
-- Where its standbys are read from, at the same port.
alter table control.servers add column replica_host text;

-- Down Migration
