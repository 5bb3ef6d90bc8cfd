import { quoteIdentifier } from '../postgres/quote.ts'
import type { Statement } from '../postgres/statement.ts'

/** The tables of one tenant, qualified and quoted. Their names begin with `_`: /rest/v1 and /schema/v1 show no such name. */
export type StorageTables = { buckets: string; objects: string; uploads: string; pending: string; usage: string }

export function storageTables(schema: string): StorageTables {
  const at = (name: string) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
  return {
    buckets: at('_storage_buckets'),
    objects: at('_storage_objects'),
    uploads: at('_storage_uploads'),
    pending: at('_storage_pending_blobs'),
    usage: at('_storage_usage'),
  }
}

const TENANT = `current_setting('app.tenant_id')`
const STORAGE = `current_setting('app.service', true) = 'storage'`
const ROLE = `(select current_setting('app.role', true))`
const SUBJECT = `(select nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')`

/** Counted up whenever what follows changes: control then runs it for every tenant that has such tables. */
export const STORAGE_TABLES_VERSION = 1

/**
 * The statements that make a tenant's storage tables, or bring them up to date; running them again changes nothing. They run
 * as the schema's owner (the ddl login), in one transaction, when a tenant makes its first bucket: a tenant without files has
 * no such tables, and 10 000 tenants cost nothing at deploy time.
 *
 * Two walls, as on every table: the tenant's role reaches only its own schema, and row security is forced with a restrictive
 * policy on `tenant_id`. A third one is the tables' own: a further restrictive policy opens them to transactions of this API
 * only, so that no other way to rows (`/rest/v1`, realtime) reaches them whatever it shows. The permissive policies beside
 * these are the buckets' policies (`bucket.ts`).
 */
export function storageTableStatements(schema: string): Statement[] {
  const t = storageTables(schema)
  const texts = [
    `create table if not exists ${t.buckets} (
      tenant_id text not null default ${TENANT},
      id text collate "C" primary key,
      owner_id text,
      public boolean not null default false,
      policy text not null default 'owner' check (policy in ('none', 'owner', 'public_read')),
      file_size_limit bigint,
      allowed_mime_types text[],
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`,
    // `folder` is all up to the last slash: with it a folder is listed from an index, however much lies below it.
    `create table if not exists ${t.objects} (
      tenant_id text not null default ${TENANT},
      id uuid primary key default gen_random_uuid(),
      bucket_id text collate "C" not null references ${t.buckets} (id),
      name text collate "C" not null,
      folder text collate "C" not null generated always as (
        case when strpos(name, '/') = 0 then '' else left(name, length(name) - strpos(reverse(name), '/') + 1) end
      ) stored,
      owner_id text,
      version text not null,
      blobs jsonb not null,
      size_bytes bigint not null,
      etag text not null,
      mime_type text not null,
      cache_control text not null,
      content_encoding text,
      user_metadata jsonb,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      unique (bucket_id, name)
    )`,
    `create index if not exists _storage_objects_folder on ${t.objects} (bucket_id, folder, name)`,
    // Resumable uploads under way; `reserved_bytes` of the usage counts their whole length.
    `create table if not exists ${t.uploads} (
      tenant_id text not null default ${TENANT},
      id text primary key,
      bucket_id text collate "C" not null references ${t.buckets} (id),
      name text collate "C" not null,
      owner_id text,
      upsert boolean not null,
      length_bytes bigint not null,
      offset_bytes bigint not null default 0,
      blobs jsonb not null default '[]',
      mime_type text not null,
      cache_control text not null,
      user_metadata jsonb,
      finished boolean not null default false,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null
    )`,
    // Blobs that no object refers to: not yet (being written) or no more (replaced, deleted). Due rows are swept.
    `create table if not exists ${t.pending} (
      tenant_id text not null default ${TENANT},
      version text primary key,
      due_at timestamptz not null,
      condemned boolean not null default false
    )`,
    `create index if not exists _storage_pending_due on ${t.pending} (due_at)`,
    `create table if not exists ${t.usage} (
      tenant_id text primary key default ${TENANT},
      files_bytes bigint not null default 0 check (files_bytes >= 0),
      reserved_bytes bigint not null default 0 check (reserved_bytes >= 0),
      changed_at timestamptz not null default now()
    )`,
  ]
  for (const table of Object.values(t)) {
    texts.push(
      `alter table ${table} enable row level security`,
      `alter table ${table} force row level security`,
      ...policy(
        table,
        'tenant_isolation',
        `as restrictive for all using (tenant_id = ${TENANT}) with check (tenant_id = ${TENANT})`,
      ),
      ...policy(table, 'storage_only', `as restrictive for all using (${STORAGE}) with check (${STORAGE})`),
    )
  }
  const inBucket = (condition: string) => `bucket_id in (select id from ${t.buckets} where ${condition})`
  const own = `${ROLE} = 'authenticated' and owner_id = ${SUBJECT}`
  const readable = `${inBucket(`policy in ('none', 'public_read')`)} or (${own} and ${inBucket(`policy = 'owner'`)})`
  const writable = `${inBucket(`policy = 'none'`)} or (${own} and ${inBucket(`policy in ('owner', 'public_read')`)})`
  const isService = `${ROLE} = 'service_role'`
  const sameCaller = `${isService} or owner_id is not distinct from ${SUBJECT}`
  texts.push(
    ...policy(t.buckets, 'service', `for all using (${isService}) with check (${isService})`),
    ...policy(
      t.buckets,
      'readable',
      `for select using (policy in ('none', 'public_read') or (policy = 'owner' and ${ROLE} = 'authenticated'))`,
    ),
    ...policy(t.objects, 'service', `for all using (${isService}) with check (${isService})`),
    ...policy(t.objects, 'readable', `for select using (${readable})`),
    ...policy(t.objects, 'insertable', `for insert with check (${writable})`),
    ...policy(t.objects, 'updatable', `for update using (${writable}) with check (${writable})`),
    ...policy(t.objects, 'deletable', `for delete using (${writable})`),
    ...policy(t.uploads, 'same_caller', `for all using (${sameCaller}) with check (${sameCaller})`),
    ...policy(t.pending, 'bookkeeping', 'for all using (true) with check (true)'),
    ...policy(t.usage, 'bookkeeping', 'for all using (true) with check (true)'),
  )
  return [
    // Two processes that meet the same tenant's first bucket make the tables one after the other.
    { text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))', values: [`aerodb-storage:${schema}`] },
    ...texts.map((text) => ({ text, values: [] })),
  ]
}

function policy(table: string, name: string, definition: string): string[] {
  return [`drop policy if exists ${name} on ${table}`, `create policy ${name} on ${table} ${definition}`]
}
