import { z } from 'zod'
import { TENANT_COLUMN } from '../../catalogue/catalogue.ts'
import { contextStatement, type Principal } from '../../postgres/principal.ts'
import { quoteIdentifier } from '../../postgres/quote.ts'
import type { Server } from '../../postgres/servers.ts'
import { BindingError } from '../channels/changes-port.ts'
import { PUBLICATION } from './slot.ts'

/** What decides who may hear of a table's changes, and how they are described. */
export type TableFacts = {
  name: string
  columns: ReadonlyMap<string, { type: string; sqlType: string }>
  primaryKey: readonly string[]
  /**
   * Who of the tenant may read a row: `all` of it, `none`, or whom a predicate over the row's columns lets (SQL of the table's
   * own policies, as Postgres prints it).
   */
  readableWhen: 'all' | 'none' | { predicate: string }
  isPublished: boolean
  /** The stream carries whole old rows. */
  hasFullIdentity: boolean
}

/** `$1` schema, `$2` table or null for all of them. */
const LOAD = `
select coalesce(json_agg(json_build_object(
  'name', c.relname,
  'mayRead', has_table_privilege(c.oid, 'select'),
  'isGuarded', c.relrowsecurity,
  'hasFullIdentity', c.relreplident = 'f',
  'isPublished', exists(select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = '${PUBLICATION}' and r.prrelid = c.oid) or exists(select from pg_publication p
    where p.pubname = '${PUBLICATION}' and p.puballtables),
  'columns', (select json_agg(json_build_object('name', a.attname, 'type', t.typname, 'sqlType', format_type(t.oid, null))
      order by a.attnum)
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'primaryKey', (select coalesce(json_agg(a.attname order by k.ord), '[]') from pg_constraint con,
      unnest(con.conkey) with ordinality k(num, ord)
    join pg_attribute a on a.attnum = k.num where con.conrelid = c.oid and con.contype = 'p' and a.attrelid = c.oid),
  'policies', (select coalesce(json_agg(json_build_object('isPermissive', polpermissive,
      'predicate', pg_get_expr(polqual, polrelid))), '[]')
    from pg_policy where polrelid = c.oid and polcmd in ('r', '*')
      and (polroles = '{0}' or exists(select from unnest(polroles) who where pg_has_role(who, 'member'))))
)), '[]')::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and ($2::text is null or c.relname = $2) and c.relkind in ('r', 'p') and not c.relispartition`

const documentSchema = z.array(
  z.object({
    name: z.string(),
    mayRead: z.boolean(),
    isGuarded: z.boolean(),
    hasFullIdentity: z.boolean(),
    isPublished: z.boolean(),
    columns: z.array(z.object({ name: z.string(), type: z.string(), sqlType: z.string() })),
    primaryKey: z.array(z.string()),
    policies: z.array(z.object({ isPermissive: z.boolean(), predicate: z.string().nullable() })),
  }),
)
type Document = z.output<typeof documentSchema>[number]

/** Reads the facts of one table, or of all in the tenant's schema. */
export async function loadTableFacts(
  server: Server,
  principal: Principal,
  table: string | null,
): Promise<TableFacts[]> {
  const { rows } = await server.requests.run(principal.tenantId, [
    contextStatement(principal),
    { text: LOAD, values: [principal.schema, table] },
  ])
  return documentSchema.parse(JSON.parse(rows[0]?.[0] ?? '[]')).map((document) => ({
    name: document.name,
    columns: new Map(
      document.columns
        .filter(({ name }) => name !== TENANT_COLUMN)
        .map(({ name, type, sqlType }) => [name, { type, sqlType }]),
    ),
    primaryKey: document.primaryKey.filter((name) => name !== TENANT_COLUMN),
    readableWhen: readableWhen(document),
    isPublished: document.isPublished,
    hasFullIdentity: document.hasFullIdentity,
  }))
}

/** The tenant's own column is the wall that we hold ourselves, for every row: see `RowAccess`. */
const TENANT_WALL = `(tenant_id = current_setting('app.tenant_id'::text))`

function readableWhen({ mayRead, isGuarded, policies }: Document): TableFacts['readableWhen'] {
  if (!mayRead) return 'none'
  if (!isGuarded) return 'all'
  const open = (predicate: string | null) => predicate === null || predicate === 'true'
  const permissive = policies.filter((policy) => policy.isPermissive).map((policy) => policy.predicate)
  if (permissive.length === 0) return 'none'
  const restrictive = policies
    .filter((policy) => !policy.isPermissive)
    .map((policy) => policy.predicate)
    .filter((predicate) => !open(predicate) && predicate !== TENANT_WALL)
  const either = permissive.some(open) ? [] : [permissive.map((predicate) => `(${predicate})`).join(' or ')]
  const all = [...either, ...restrictive]
  return all.length === 0 ? 'all' : { predicate: all.map((predicate) => `(${predicate})`).join(' and ') }
}

/**
 * Puts a table into the publication. Where a predicate decides who may read, or no key names a row, the stream must carry whole
 * old rows: then a deleted row can be judged too, and no table in a publication ever refuses an update for want of a key.
 * Done by the login that owns the tables; two processes doing it at once do no harm.
 */
export async function publishTable(server: Server, { schema, tenantId }: Principal, facts: TableFacts): Promise<void> {
  const table = `${quoteIdentifier(schema)}.${quoteIdentifier(facts.name)}`
  // The lock that this takes must not hold up the tenant's own queries for long.
  const patience = { text: `select set_config('lock_timeout', '1500', true)`, values: [] }
  const run = (text: string) => server.ddl.run(tenantId, [patience, { text, values: [] }])
  const needsFull = facts.primaryKey.length === 0 || typeof facts.readableWhen === 'object'
  try {
    if (needsFull && !facts.hasFullIdentity) await run(`alter table ${table} replica identity full`)
    if (!facts.isPublished) await run(`alter publication ${PUBLICATION} add table ${table}`)
  } catch (fault) {
    const code = fault instanceof Error && 'code' in fault ? fault.code : undefined
    if (code === NOT_OWNER)
      throw new BindingError(
        `Unable to subscribe to changes: the table ${facts.name} does not belong to the schema API`,
      )
    // Another process was first.
    if (code !== ALREADY_THERE) throw fault
  }
}

/** SQLSTATEs (PostgreSQL, appendix A): insufficient_privilege, duplicate_object. */
const NOT_OWNER = '42501'
const ALREADY_THERE = '42710'
