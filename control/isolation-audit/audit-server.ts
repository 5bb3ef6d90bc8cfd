import type { ClientBase } from 'pg'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { TENANT_SCHEMAS } from './checks/common.ts'
import { SERVER_RIGHT_QUERIES, TENANT_RIGHT_QUERIES } from './checks/grants.ts'
import { OWN_SERVER_QUERIES } from './checks/own-server.ts'
import { REFERENCE_QUERIES } from './checks/references.ts'
import { ROLE_QUERIES } from './checks/roles.ts'
import { ROW_QUERIES } from './checks/rows.ts'
import { SERVER_QUERIES } from './checks/server.ts'
import type { CatalogueQuery, Finding, Observation } from './finding.ts'
import { RULES } from './rules.ts'

/** What holds on a tenant's own server too, where it is alone and may have views and functions of its own. */
const EVERY_SERVER_QUERIES = [...SERVER_RIGHT_QUERIES, ...ROLE_QUERIES, ...SERVER_QUERIES]
const OWN_QUERIES = [...EVERY_SERVER_QUERIES, ...OWN_SERVER_QUERIES]
const SHARED_QUERIES = [...ROW_QUERIES, ...TENANT_RIGHT_QUERIES, ...REFERENCE_QUERIES, ...EVERY_SERVER_QUERIES]
/** Of one query at most so many findings are listed; how many there are is said all the same. */
const MAX_LISTED = 500
const STATEMENT_TIMEOUT_MS = 120_000

type WithClient = <Result>(work: (client: ClientBase) => Promise<Result>) => Promise<Result>

/**
 * A tenant's own server, named by its data directory: the tenant's id, or a node of its cluster. One that was paused meanwhile is
 * left out.
 */
type OwnAuditedServer = {
  name: string
  isOwn: true
  /** Looked at too, where it is of this machine. */
  directory?: string
  withClient: WithClient
  isRunning?: () => Promise<boolean>
}

/** A server as its administrator reaches it: of the shared tier, or a tenant's own. */
export type AuditedServer = { name: string; pool: PostgresPool } | OwnAuditedServer

/** What one server's catalogues say. */
export type ServerAudit = {
  server: string
  database: string
  /** Tenants' schemas, by name. */
  schemas: ReadonlySet<string>
  tables: number
  /** Statements sent: the same number for one tenant and for ten thousand. */
  statements: number
  /** Findings that are not listed, because their query had too many. */
  unlisted: number
  findings: readonly Finding[]
}

/** Names the tenant of a schema. */
export type TenantOfSchema = (schema: string) => Finding['tenant']

/**
 * Reads the catalogues of one server in one read-only snapshot, as its administrator. A query that fails becomes a finding
 * (`check_failed`): what could not be looked at did not pass.
 * @throws when the server cannot be reached.
 */
export async function auditServer(server: AuditedServer, tenantOf: TenantOfSchema): Promise<ServerAudit> {
  const isOwn = 'isOwn' in server
  const withClient = isOwn ? server.withClient : clientOf(server.pool)
  return withClient((client) => auditWith(client, server.name, isOwn ? OWN_QUERIES : SHARED_QUERIES, tenantOf))
}

async function auditWith(
  client: ClientBase,
  server: string,
  queries: readonly CatalogueQuery[],
  tenantOf: TenantOfSchema,
): Promise<ServerAudit> {
  let statements = 0
  const send = async <Row extends object>(text: string): Promise<Row[]> => {
    statements++
    return (await client.query<Row>(text)).rows
  }
  try {
    // With pg_catalog alone on the search path, expressions are printed with every other name qualified.
    await send(`begin isolation level repeatable read, read only;
      set local search_path = pg_catalog;
      set local statement_timeout = ${STATEMENT_TIMEOUT_MS};
      set local jit = off;
      -- Regular expressions on names are estimated to match next to nothing: a nested loop would then be quadratic.
      set local enable_nestloop = off`)
    const observations: Observation[] = []
    let unlisted = 0
    for (const query of queries) {
      const found = await observe(query, send)
      observations.push(...found.observations)
      unlisted += found.unlisted
    }
    const [summary] = await send<{ database: string; schemas: string[]; tables: number }>(
      `with ${TENANT_SCHEMAS}
       select current_database() as database,
         (select coalesce(array_agg(nspname::text order by nspname), '{}') from tenant_schema) as schemas,
         (select count(*)::int from pg_class where relnamespace in (select oid from tenant_schema) and relkind in ('r', 'p')) as tables`,
    )
    if (summary === undefined) throw new Error('unreachable')
    return {
      server,
      database: summary.database,
      schemas: new Set(summary.schemas),
      tables: summary.tables,
      statements,
      unlisted,
      findings: observations.map((observation) => toFinding(observation, server, tenantOf)),
    }
  } finally {
    await client.query('rollback').catch(() => {})
  }
}

/** One connection of the pool; it is thrown away after a fault, whatever state it is in. */
function clientOf(pool: PostgresPool): WithClient {
  return async (work) => {
    const client = await pool.connect()
    let isBroken = true
    try {
      const result = await work(client)
      isBroken = false
      return result
    } finally {
      client.release(isBroken)
    }
  }
}

async function observe(
  query: CatalogueQuery,
  send: <Row extends object>(text: string) => Promise<Row[]>,
): Promise<{ observations: Observation[]; unlisted: number }> {
  await send('savepoint query')
  try {
    const rows = await send<Observation & { total: number }>(
      `select code, schema::text, object::text, what::text, (count(*) over ())::int as total
       from (${query.sql}) found order by code, schema, object, what limit ${MAX_LISTED}`,
    )
    const observations = rows.map(({ code, schema, object, what }) => ({ code, schema, object, what }))
    return { observations, unlisted: (rows[0]?.total ?? 0) - rows.length }
  } catch (fault) {
    await send('rollback to savepoint query')
    const observation = { schema: null, object: query.name, what: (fault as Error).message }
    return { observations: [{ code: 'check_failed', ...observation }], unlisted: 0 }
  }
}

/** Fills in what the rule says. */
export function toFinding(observation: Observation, server: string, tenantOf: TenantOfSchema): Finding {
  const { code, schema, object, what } = observation
  const { severity, remedy } = RULES[code]
  return { code, severity, tenant: schema === null ? null : tenantOf(schema), server, object, what, remedy }
}
