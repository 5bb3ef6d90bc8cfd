import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { connectPostgres, withPostgres } from '../../runtime/postgres-client.ts'
import { Remedy } from '../remedy.ts'

const LOOK_MS = 500

/** A server of a tenant's own whose data lies on one machine. */
export type OwnServer = {
  /** The name of its data directory: of a cluster, that of its primary. */
  directory: string
  /** Whether its tenant counts as one that has data. */
  isSettled: boolean
}

/** Where tenants' data is, at one moment. */
export type Placement = {
  /** By tenant. */
  servers: ReadonlyMap<string, string>
  /** The operations of tenants' last moves. */
  moves: ReadonlySet<string>
  isMoving: boolean
  /** Which of a cluster's nodes is its primary, by cluster. */
  primaries: ReadonlyMap<string, number>
}

/** Runs `work` with a connection to the metadata. */
export async function withMetadata<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const config = { connectionString: url, application_name: 'aerodb-backup', connectionTimeoutMillis: 10_000 }
  return withPostgres(connectPostgres(config), work)
}

export async function readPlacement(client: pg.Client): Promise<Placement> {
  await client.query('begin isolation level repeatable read read only')
  try {
    const tenants = await client.query<{ tenant_id: string; server: string; status: string }>(
      'select tenant_id, server, status from control.tenants where server is not null and purged_at is null',
    )
    const moves = await client.query<{ operation_id: string }>('select operation_id from control.moves')
    const primaries = await client.query<{ server: string; node: number }>(
      `select server, node from control.cluster_nodes where role = 'primary'`,
    )
    return {
      servers: new Map(tenants.rows.map((row) => [row.tenant_id, row.server])),
      moves: new Set(moves.rows.map((row) => row.operation_id)),
      isMoving: tenants.rows.some((row) => row.status === 'migrating'),
      primaries: new Map(primaries.rows.map((row) => [row.server, row.node])),
    }
  } finally {
    await client.query('commit')
  }
}

/** Waits until no tenant is on a move. @throws Remedy when one still is after `timeoutMs`. */
export async function waitUntilSettled(client: pg.Client, timeoutMs: number): Promise<Placement> {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(LOOK_MS)) {
    const placement = await readPlacement(client)
    if (!placement.isMoving) return placement
    if (performance.now() > deadline)
      throw new Remedy(
        'A tenant is being moved to another degree of isolation, and the move does not end.',
        'Back up when it has (GET /v1/tenants?status=migrating), or allow more time: --wait SECONDS.',
      )
  }
}

/**
 * What makes copies that were taken one after the other useless together: a tenant's rows have gone from one server to
 * another, or a cluster's primary is another. Tenants that came or went do not. `undefined` when there is nothing of it.
 */
export function differenceOf(before: Placement, after: Placement): string | undefined {
  for (const [tenant, server] of after.servers) {
    const was = before.servers.get(tenant)
    if (was !== undefined && was !== server) return `the tenant ${tenant} moved from ${was} to ${server}`
  }
  if ([...after.moves].some((operation) => !before.moves.has(operation))) return 'a tenant began to move'
  for (const [server, node] of after.primaries) {
    const was = before.primaries.get(server)
    if (was !== undefined && was !== node) return `the cluster ${server} failed over`
  }
  return undefined
}

/** Servers of tenants' own on the machine whose data goes by the name `node`. */
export async function listOwnServers(client: pg.Client, node: string): Promise<OwnServer[]> {
  const result = await client.query<{ directory: string; is_settled: boolean }>(
    `select case s.kind when 'cluster' then s.server || '-' || n.node else s.server end as directory,
       exists (select from control.tenants t where t.server = s.server and t.purged_at is null
         and (t.status in ('active', 'suspended', 'paused', 'migrating') or t.deleted_at is not null)) as is_settled
     from control.servers s left join control.cluster_nodes n on n.server = s.server and n.role = 'primary'
     where s.kind in ('tenant', 'cluster') and s.node = $1 order by 1`,
    [node],
  )
  return result.rows.map((row) => ({ directory: row.directory, isSettled: row.is_settled }))
}
