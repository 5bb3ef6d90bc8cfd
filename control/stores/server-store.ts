import type { Change, Queryable } from './change.ts'
import { markTouched } from './outbox-store.ts'

export type ServerRow = {
  server: string
  kind: 'shared' | 'tenant' | 'cluster' | 'kubernetes'
  identity: string
  host: string
  port: number
  database: string
  sealed_request_password: string
  sealed_ddl_password: string
  capacity: number
  tenant_count: number
  max_connections: number
  draining: boolean
  version: number
  /** For a tenant's own server: the machine that its data lies on, and the user it runs as there. */
  node: string | null
  os_uid: number | null
}

export async function findServer(db: Queryable, server: string): Promise<ServerRow | undefined> {
  const result = await db.query<ServerRow>('select * from control.servers where server = $1', [server])
  return result.rows[0]
}

export async function findServerByIdentity(db: Queryable, identity: string): Promise<ServerRow | undefined> {
  const result = await db.query<ServerRow>('select * from control.servers where identity = $1', [identity])
  return result.rows[0]
}

/** Registers a server of the shared tier under the next free name (`shared-0`, `shared-1`, ...). */
export async function insertSharedServer(
  change: Change,
  server: Pick<ServerRow, 'identity' | 'host' | 'port' | 'database' | 'capacity' | 'max_connections'> & {
    sealPasswords: (server: string) => Pick<ServerRow, 'sealed_request_password' | 'sealed_ddl_password'>
  },
): Promise<ServerRow> {
  await change.tx.query('lock table control.servers in share row exclusive mode')
  const count = await change.tx.query<{ count: number }>(
    `select count(*)::int as count from control.servers where kind = 'shared'`,
  )
  const name = `shared-${count.rows[0]?.count ?? 0}`
  const sealed = server.sealPasswords(name)
  const result = await change.tx.query<ServerRow>(
    `insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
       sealed_ddl_password, capacity, max_connections)
     values ($1, 'shared', $2, $3, $4, $5, $6, $7, $8, $9) returning *`,
    [
      name,
      server.identity,
      server.host,
      server.port,
      server.database,
      sealed.sealed_request_password,
      sealed.sealed_ddl_password,
      server.capacity,
      server.max_connections,
    ],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  await markTouched(change, 'server', row.server, row.version)
  return row
}

/** A server of the shared tier as operators see it. */
export type SharedServerFill = Pick<ServerRow, 'server' | 'capacity' | 'max_connections' | 'draining'> & {
  tenants: number
  documents_bytes: number
}

/** The shared tier, with what its tenants store. */
export async function listSharedServers(db: Queryable): Promise<SharedServerFill[]> {
  const result = await db.query<SharedServerFill>(
    `select server, tenant_count as tenants, capacity, coalesce(held.bytes, 0)::bigint as documents_bytes, max_connections,
       draining
     from control.servers left join (
       select server, sum(documents_bytes) as bytes from control.tenants where purged_at is null group by server) held
       using (server)
     where kind = 'shared' order by length(server), server`,
  )
  return result.rows
}

/**
 * Has a server of the shared tier take no further tenants, or take them again.
 * @returns how it was before; `undefined` when there is none of that name.
 */
export async function setDraining(change: Change, server: string, draining: boolean): Promise<boolean | undefined> {
  const result = await change.tx.query<{ was: boolean }>(
    `update control.servers set draining = $2
     from (select server as name, draining as was from control.servers where server = $1 for update) before
     where server = name and kind = 'shared' returning was`,
    [server, draining],
  )
  return result.rows[0]?.was
}

/** Follows a server that has moved to another address. */
export async function moveServer(change: Change, server: string, host: string, port: number): Promise<void> {
  const result = await change.tx.query<ServerRow>(
    `update control.servers set host = $2, port = $3, version = nextval('control.directory_version')
     where server = $1 and (host, port) is distinct from ($2, $3) returning *`,
    [server, host, port],
  )
  const row = result.rows[0]
  if (row !== undefined) await markTouched(change, 'server', row.server, row.version)
}

/** Has the document of a server published again: something that it is made of has changed. */
export async function touchServer(change: Change, server: string): Promise<void> {
  const result = await change.tx.query<ServerRow>(
    `update control.servers set version = nextval('control.directory_version') where server = $1 returning *`,
    [server],
  )
  const row = result.rows[0]
  if (row !== undefined) await markTouched(change, 'server', row.server, row.version)
}

/**
 * Takes a place on the least loaded of the shared servers `among` (those this process can reach) that has room.
 * @returns the server's name, or `undefined` when all are full or draining.
 */
export async function takePlace(change: Change, among: readonly string[]): Promise<string | undefined> {
  const result = await change.tx.query<{ server: string }>(
    `update control.servers set tenant_count = tenant_count + 1 where server = (
       select server from control.servers
       where kind = 'shared' and not draining and tenant_count < capacity and server = any($1)
       order by tenant_count::float8 / capacity, server limit 1 for update)
     returning server`,
    [among],
  )
  return result.rows[0]?.server
}

/** Counts a place that was taken by a spare role. */
export async function occupyPlace(change: Change, server: string): Promise<void> {
  await change.tx.query('update control.servers set tenant_count = tenant_count + 1 where server = $1', [server])
}

export async function freePlace(change: Change, server: string): Promise<void> {
  await change.tx.query('update control.servers set tenant_count = greatest(tenant_count - 1, 0) where server = $1', [
    server,
  ])
}

/** Registers the own server of a tenant, named by the tenant's id, with a user id that nobody had before. */
export async function insertOwnServer(
  change: Change,
  server: Pick<
    ServerRow,
    'server' | 'port' | 'max_connections' | 'sealed_request_password' | 'sealed_ddl_password' | 'node'
  > & { withUser: boolean },
): Promise<void> {
  const result = await change.tx.query<ServerRow>(
    `insert into control.servers (server, kind, identity, host, port, database, sealed_request_password,
       sealed_ddl_password, capacity, tenant_count, max_connections, node, os_uid)
     values ($1, 'tenant', 'tenant/' || $1, '127.0.0.1', $2, 'postgres', $3, $4, 1, 1, $5, $6,
       case when $7 then nextval('control.os_uid') end)
     returning *`,
    [
      server.server,
      server.port,
      server.sealed_request_password,
      server.sealed_ddl_password,
      server.max_connections,
      server.node,
      server.withUser,
    ],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  await markTouched(change, 'server', row.server, row.version)
}

/** Forgets the own server of a tenant. */
export async function deleteOwnServer(change: Change, server: string): Promise<void> {
  await change.tx.query(`delete from control.servers where server = $1 and kind = 'tenant'`, [server])
  await markTouched(change, 'server', server, 0)
}
