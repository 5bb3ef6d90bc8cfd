-- Up Migration

-- A cluster tenant's server is several nodes on one machine; host and port of its row in `servers` are its primary's.
alter table control.servers drop constraint servers_kind_check;
alter table control.servers add constraint servers_kind_check check (kind in ('shared', 'tenant', 'cluster'));
-- Of the login by which a cluster's standbys follow its primary.
alter table control.servers add column sealed_replica_password text;

create table control.cluster_nodes (
  server text not null references control.servers on delete cascade,
  node integer not null check (node between 1 and 9),
  -- A standby counts for the primary's quorum; a node that is `rebuilding` holds nothing that counts.
  role text not null check (role in ('primary', 'standby', 'rebuilding')),
  port integer not null,
  os_uid integer unique,
  primary key (server, node)
);
create unique index cluster_nodes_one_primary on control.cluster_nodes (server) where role = 'primary';

-- Down Migration
