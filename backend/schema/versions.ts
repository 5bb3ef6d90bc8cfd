import { quoteIdentifier } from '../postgres/quote.ts'
import type { Statement } from '../postgres/statement.ts'
import type { Collection } from './collection.ts'

/** A change of a collection as it was made. Versions count up over all collections of a tenant. */
export type SchemaVersion = {
  version: number
  collection: string
  action: 'create' | 'alter' | 'drop' | 'undo'
  /** The body of the request, for `create` and `alter`. */
  change: unknown
  /** The collection before the change, for `alter` and `drop`. */
  before: Collection | null
  /** The version that was undone, for `undo`. */
  undoes: number | null
  /** The version that undid this one. */
  undone_by: number | null
  made_at: string
}

export type NewVersion = Pick<SchemaVersion, 'collection' | 'action'> &
  Partial<Pick<SchemaVersion, 'change' | 'before' | 'undoes'>>

/** Versions that are kept for a tenant. */
const KEPT = 1_000

const tableOf = (schema: string) => `${quoteIdentifier(schema)}._schema_versions`

/** Opens the versions for a transaction: a wall of their own, beside the tenant's, keeps every other way to rows out. */
export const AS_SCHEMA_API: Statement = { text: `select set_config('app.service', 'schema', true)`, values: [] }

/** Makes a tenant's table of versions; it has none before its first change. */
export function versionTableStatements(schema: string): readonly Statement[] {
  const table = tableOf(schema)
  const wall = `tenant_id = current_setting('app.tenant_id')`
  const isOurs = `current_setting('app.service', true) = 'schema'`
  const texts = [
    `create table if not exists ${table} (
      tenant_id text not null default current_setting('app.tenant_id'),
      version bigint generated always as identity primary key,
      collection text collate "C" not null,
      action text not null,
      change jsonb,
      before jsonb,
      undoes bigint unique,
      made_at timestamptz not null default now()
    )`,
    `alter table ${table} enable row level security, force row level security`,
    `create policy tenant_isolation on ${table} as restrictive for all using (${wall}) with check (${wall})`,
    `create policy schema_only on ${table} as restrictive for all using (${isOurs}) with check (${isOurs})`,
    `create policy bookkeeping on ${table} for all using (true) with check (true)`,
  ]
  return texts.map((text) => ({ text, values: [] }))
}

/** Adds a version, in the transaction of its change. */
export function recordVersionStatements(schema: string, version: NewVersion): readonly Statement[] {
  const { collection, action, change, before, undoes } = version
  const json = (value: unknown) => (value === undefined || value === null ? null : JSON.stringify(value))
  return [
    {
      text: `insert into ${tableOf(schema)} (collection, action, change, before, undoes) values ($1, $2, $3::jsonb, $4::jsonb, $5::bigint)`,
      values: [collection, action, json(change), json(before), undoes == null ? null : String(undoes)],
    },
    {
      text: `delete from ${tableOf(schema)} where version <= (select max(version) - ${KEPT} from ${tableOf(schema)})`,
      values: [],
    },
  ]
}

/** One row, one column: versions as a JSON list, the newest first. */
export function listVersionsStatement(
  schema: string,
  { collection, before, limit }: { collection?: string | undefined; before?: number | undefined; limit: number },
): Statement {
  const table = tableOf(schema)
  return {
    text: `select coalesce(json_agg(to_jsonb(v) - 'tenant_id' order by v.version desc), '[]')::text from (
      select v.*, u.version as undone_by from ${table} v left join ${table} u on u.undoes = v.version
      where ($1::text is null or v.collection = $1) and ($2::bigint is null or v.version < $2)
      order by v.version desc limit $3::int) v`,
    values: [collection ?? null, before === undefined ? null : String(before), String(limit)],
  }
}
