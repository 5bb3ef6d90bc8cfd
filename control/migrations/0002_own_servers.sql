-- Up Migration

-- A tenant's own server runs on one machine, as a user of its own where we are root.
alter table control.servers add column node text, add column os_uid integer unique;
create sequence control.os_uid as integer start 200001;
create unique index servers_own_port on control.servers (node, port) where kind = 'tenant';

-- Down Migration
