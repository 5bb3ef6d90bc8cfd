import pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import { TENANT_COLUMN } from '../catalogue/catalogue.ts'
import type { ConnectionTarget } from '../postgres/connection.ts'
import { MOVING_SQLSTATE, schemaIsMoving } from '../postgres/moved-tenant.ts'
import type { Principal } from '../postgres/principal.ts'
import { quoteIdentifier } from '../postgres/quote.ts'

export type SqlInput = { query: string; params: readonly unknown[] | undefined }
export type SqlLimits = { statementTimeoutMs: number; maxRows: number }

/** What one statement gave. */
export type SqlResult = {
  command: string
  row_count: number | null
  fields: { name: string; type: number }[]
  rows: Record<string, unknown>[]
}

const DEADLINE_GRACE_MS = 5_000

/** Dates and times stay the texts that Postgres wrote: a JavaScript `Date` would change zone and precision. */
const types = new pg.TypeOverrides()
for (const oid of [1082, 1083, 1114, 1184, 1186, 1266]) types.setTypeParser(oid, (text) => text)

const SET_CONTEXT = `select set_config('app.tenant_id', $1, false), set_config('app.role', 'service_role', false), \
set_config('request.jwt.claims', $2, false), set_config('search_path', $3, false)`

/** Tables of the schema that lack the tenant column: made by SQL, not by us. */
const UNWALLED = `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition and not exists (
  select from pg_attribute a where a.attrelid = c.oid and a.attname = '${TENANT_COLUMN}' and not a.attisdropped)`

/**
 * Runs SQL as the owner of the tenant's schema, on a connection of its own to the tenant's own server, which ends with it:
 * nothing that the SQL leaves in its session (settings, temporary tables, locks, listening) outlives the request. With
 * parameters it is one statement; without, it may be several, and the last one's result is given.
 * @throws Problem 400 `sql_error`, 413 `result_too_large`, 503 `database_unavailable`.
 */
export async function runSql(
  target: ConnectionTarget,
  principal: Principal,
  input: SqlInput,
  limits: SqlLimits,
): Promise<SqlResult> {
  const client = new pg.Client({
    ...target,
    application_name: 'aerodb-backend-sql',
    connectionTimeoutMillis: 5_000,
    statement_timeout: limits.statementTimeoutMs,
    // The server ends what it runs for us when we are gone.
    options: '-c client_connection_check_interval=2s',
    types,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const path = `${quoteIdentifier(principal.schema)}, pg_temp`
    await client.query(SET_CONTEXT, [principal.tenantId, principal.claims, path])
  } catch (cause) {
    await client.end().catch(() => {})
    throw new Problem(503, 'database_unavailable', {
      detail: 'The database of this tenant cannot be reached at the moment.',
      headers: { 'Retry-After': '2' },
      cause,
    })
  }
  // SQL can lift its own statement timeout, but not this.
  const deadline = setTimeout(() => destroy(client), limits.statementTimeoutMs + DEADLINE_GRACE_MS)
  try {
    const result = await execute(client, input, limits.maxRows)
    await raiseWalls(client, principal)
    return result
  } finally {
    clearTimeout(deadline)
    await client.end().catch(() => {})
  }
}

/** Reads rows up to `maxRows`; a larger result ends the connection, so that it is never held in memory. */
function execute(client: pg.Client, { query, params }: SqlInput, maxRows: number): Promise<SqlResult> {
  return new Promise((resolve, reject) => {
    const running = new pg.Query(
      params === undefined ? { text: query } : { text: query, values: params.map(toParameter) },
    )
    const rows: Record<string, unknown>[] = []
    running.on('row', (row: Record<string, unknown>) => {
      if (rows.length < maxRows) rows.push(row)
      else {
        reject(
          new Problem(413, 'result_too_large', { detail: `The result has more than ${maxRows} rows. Add a limit.` }),
        )
        destroy(client)
      }
    })
    running.on('error', (fault: Error) => reject(asSqlProblem(fault)))
    running.on('end', (results: pg.QueryResult | pg.QueryResult[]) => {
      const last = Array.isArray(results) ? results.at(-1) : results
      const fields = (last?.fields ?? []).filter((field) => field.name !== TENANT_COLUMN)
      resolve({
        command: last?.command ?? '',
        row_count: last?.rowCount ?? null,
        fields: fields.map((field) => ({ name: field.name, type: field.dataTypeID })),
        // Rows of earlier statements have passed by as well: the last statement's are at the end.
        rows: (fields.length === 0 ? [] : rows.slice(-(last?.rowCount ?? 0))).map(
          ({ [TENANT_COLUMN]: _, ...row }) => row,
        ),
      })
    })
    client.query(running)
  })
}

function destroy(client: pg.Client): void {
  ;(client.connection as unknown as { stream: { destroy(): void } }).stream.destroy()
}

/** Parameters are texts to Postgres; objects and arrays are JSON. */
function toParameter(value: unknown): string | null {
  if (value === null || value === undefined) return null
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/**
 * Puts the walls on tables that the SQL has made, so that they are served like collections and the tenant can move to a
 * shared server later: the tenant column, the restrictive policy, and a permissive one for the tenant's roles.
 */
async function raiseWalls(client: pg.Client, principal: Principal): Promise<void> {
  const { rows } = await client.query<{ name: string }>(UNWALLED, [principal.schema])
  for (const { name } of rows) {
    const wall = `${TENANT_COLUMN} = current_setting('app.tenant_id')`
    await client.query(`alter table ${name} add column ${TENANT_COLUMN} text not null default current_setting('app.tenant_id');
      alter table ${name} enable row level security, force row level security;
      create policy tenant_isolation on ${name} as restrictive for all using (${wall}) with check (${wall});
      create policy aerodb_none on ${name} for all using (true) with check (true)`)
  }
}

function asSqlProblem(fault: Error): Error {
  if (!(fault instanceof pg.DatabaseError))
    return new Problem(504, 'sql_timeout', { detail: 'The statement took too long.', cause: fault })
  if (fault.code === MOVING_SQLSTATE) return schemaIsMoving(fault)
  const place = fault.position === undefined ? '' : ` at character ${fault.position}`
  const errors = [fault.detail, fault.hint]
    .filter((text) => text !== undefined)
    .map((message) => ({ path: 'query', message }))
  return new Problem(fault.code === '57014' ? 504 : 400, fault.code === '57014' ? 'sql_timeout' : 'sql_error', {
    detail: `${fault.message}${place} (SQLSTATE ${fault.code})`,
    ...(errors.length === 0 ? {} : { errors }),
  })
}
