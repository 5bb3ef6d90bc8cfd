-- Up Migration

-- One sequence for every document of the directory: a later change always has the higher version.
create sequence control.directory_version as bigint;

create table control.servers (
  server text primary key,
  kind text not null check (kind in ('shared', 'tenant')),
  -- What a server is, wherever it is reached: its system identifier and database name.
  identity text not null unique,
  host text not null,
  port integer not null,
  database text not null,
  sealed_request_password text not null,
  sealed_ddl_password text not null,
  -- For a tenant's own server: the administrator's password, which no backend ever gets.
  sealed_admin_password text,
  capacity integer not null check (capacity > 0),
  tenant_count integer not null default 0 check (tenant_count >= 0),
  max_connections integer not null check (max_connections > 0),
  draining boolean not null default false,
  version bigint not null default nextval('control.directory_version'),
  created_at timestamptz not null default now()
);

create table control.backends (
  backend_id text primary key,
  name text not null unique,
  url text not null,
  pipelining integer not null check (pipelining between 1 and 1000),
  created_at timestamptz not null default now()
);

create table control.tenants (
  tenant_id text primary key,
  name text not null,
  plan text not null,
  region text not null,
  isolation text not null check (isolation in ('schema', 'database', 'cluster')),
  status text not null check (status in
    ('provisioning', 'active', 'suspended', 'migrating', 'paused', 'deleting', 'deleted', 'failed')),
  -- What restore brings back.
  status_before_delete text,
  quotas jsonb not null default '{}',
  documents_bytes bigint not null default 0,
  files_bytes bigint not null default 0,
  storage_exceeded boolean not null default false,
  file_storage_exceeded boolean not null default false,
  jwt_sealed_secret text,
  jwt_jwks_url text,
  jwt_issuer text,
  jwt_audience text,
  server text references control.servers,
  backend text references control.backends (name),
  version bigint not null default nextval('control.directory_version'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  purge_after timestamptz,
  purged_at timestamptz
);
-- A name belongs to one living tenant; a deleted or failed one has let go of it.
create unique index tenants_living_name on control.tenants (name) where status not in ('deleting', 'deleted', 'failed');
create index tenants_name on control.tenants (name);
create index tenants_server on control.tenants (server);
create index tenants_purge on control.tenants (purge_after) where purge_after is not null and purged_at is null;

create table control.tenant_keys (
  key_id text primary key,
  tenant_id text not null references control.tenants,
  kind text not null check (kind in ('anon', 'service')),
  digest text not null unique,
  hint text not null,
  created_at timestamptz not null default now(),
  -- Set when it was rotated: the old key runs out then.
  expires_at timestamptz,
  replaced_by text references control.tenant_keys
);
create index tenant_keys_tenant on control.tenant_keys (tenant_id);

create table control.operations (
  operation_id text primary key,
  tenant_id text not null references control.tenants,
  kind text not null check (kind in ('create', 'delete', 'restore', 'purge', 'move')),
  status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
  -- The last step that is known to be done.
  step text,
  attempts integer not null default 0,
  error_code text,
  error_detail text,
  -- What the caller gets once (keys), sealed; emptied when nobody can ask for it any more.
  sealed_result text,
  lease_owner text,
  lease_until timestamptz,
  next_run_at timestamptz not null default now(),
  deadline_at timestamptz not null,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
-- Conflicting requests meet here: one running operation a tenant.
create unique index operations_running on control.operations (tenant_id) where status = 'running';
create index operations_sealed on control.operations (created_at) where sealed_result is not null;
create index operations_tenant on control.operations (tenant_id);

create table control.platform_keys (
  key_id text primary key,
  name text not null,
  role text not null check (role in ('owner', 'operator', 'billing', 'viewer')),
  digest text not null unique,
  hint text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz
);

create table control.idempotency_keys (
  caller text not null,
  idempotency_key text not null,
  fingerprint text not null,
  -- A create that is under way or whose process died names its operation: the answer is made from that.
  operation_id text references control.operations on delete set null,
  -- While in flight: until when the process that took it is believed to be alive.
  locked_until timestamptz,
  status integer,
  sealed_response text,
  created_at timestamptz not null default now(),
  primary key (caller, idempotency_key)
);
create index idempotency_keys_age on control.idempotency_keys (created_at);

-- Names and servers whose document in the directory is behind the tables. Written with the change, removed once published.
create table control.outbox (
  kind text not null check (kind in ('tenant', 'server')),
  key text not null,
  version bigint not null,
  created_at timestamptz not null default now(),
  primary key (kind, key)
);

create table control.audit_log (
  seq bigint primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  target text not null,
  before jsonb,
  after jsonb,
  address text,
  request_id text,
  previous_hash text not null,
  hash text not null
);
create index audit_log_target on control.audit_log (target, seq);

create function control.audit_hash(entry control.audit_log) returns text
language sql immutable as $$
  -- Every column but the hash itself, in a fixed order, as JSON text; times in UTC microseconds.
  select encode(sha256(convert_to(jsonb_build_array(
    (entry).seq, (extract(epoch from (entry).at) * 1000000)::bigint, (entry).actor, (entry).action, (entry).target,
    (entry).before, (entry).after, (entry).address, (entry).request_id, (entry).previous_hash)::text, 'UTF8')), 'hex')
$$;

-- Appends one entry to the chain. The lock is held to the end of the transaction, so append last.
create function control.append_audit(
  actor text, action text, target text, before jsonb, after jsonb, address text, request_id text) returns bigint
language plpgsql as $$
declare
  entry control.audit_log;
begin
  perform pg_advisory_xact_lock(hashtext('control.audit_log'));
  select last.seq, last.hash into entry.seq, entry.previous_hash from control.audit_log last order by last.seq desc limit 1;
  entry.seq := coalesce(entry.seq, 0) + 1;
  entry.previous_hash := coalesce(entry.previous_hash, repeat('0', 64));
  entry.at := clock_timestamp();
  entry.actor := append_audit.actor;
  entry.action := append_audit.action;
  entry.target := append_audit.target;
  entry.before := append_audit.before;
  entry.after := append_audit.after;
  entry.address := append_audit.address;
  entry.request_id := append_audit.request_id;
  entry.hash := control.audit_hash(entry);
  insert into control.audit_log select entry.*;
  return entry.seq;
end
$$;

create function control.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'The audit log is append-only';
end
$$;
create trigger audit_log_append_only before update or delete or truncate on control.audit_log
  for each statement execute function control.refuse_change();

-- Down Migration
