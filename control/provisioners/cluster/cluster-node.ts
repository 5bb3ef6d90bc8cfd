import { chown, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { connectPostgres, withPostgres } from '../../../runtime/postgres-client.ts'
import { makeChange } from '../../stores/change.ts'
import { type ClusterNodeRow, setNodePort } from '../../stores/cluster-store.ts'
import { moveServer } from '../../stores/server-store.ts'
import { adminConfig, runningPort, startOnSomePort } from '../own-server/own-server.ts'
import { makeScramVerifier } from '../scram-verifier.ts'
import { type ClusterParts, type ClusterState, followerName, nodeName, tenantOfCluster } from './cluster-parts.ts'

/** The login by which standbys follow the primary; it may do nothing else. */
export const REPLICA_LOGIN = 'aerodb_replica'

const HBA_LINE = `host replication ${REPLICA_LOGIN} 127.0.0.1/32 scram-sha-256\n`
/** A node that replays much log before it answers is waited for. */
const START_TIMEOUT_MS = 120_000

/** Beside the settings of every tenant's own server: quick to notice that the other side is gone, and to come back. */
const SETTINGS = {
  hot_standby: 'on',
  hot_standby_feedback: 'on',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_sender_timeout: '10s',
  wal_receiver_timeout: '10s',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '100ms',
  wal_keep_size: '32MB',
}

/** Starts a node unless it runs, as whatever its directory says that it is, and notes its port. @returns the port. */
export async function startNode(parts: ClusterParts, node: ClusterNodeRow, maxConnections: number): Promise<number> {
  const directory = parts.directories.path(nodeName(node))
  const port =
    (await runningPort(directory)) ??
    (await startOnSomePort(parts.binaries, {
      directory,
      port: node.port,
      uid: node.os_uid ?? undefined,
      settings: {
        ...SETTINGS,
        ...(await parts.readMemory(tenantOfCluster(node.server))),
        max_connections: String(maxConnections * 2 + 10),
      },
      startTimeoutMs: START_TIMEOUT_MS,
    }))
  if (port !== node.port)
    await makeChange(parts.pool, parts.publish, (change) => setNodePort(change, node.server, node.node, port))
  return port
}

/** Starts the primary unless it runs, and tells everybody where it is should that have changed. */
export async function startPrimary(parts: ClusterParts, { row, primary }: ClusterState): Promise<void> {
  const port = await startNode(parts, primary, row.max_connections)
  if (port !== row.port)
    await makeChange(parts.pool, parts.publish, (change) => moveServer(change, row.server, '127.0.0.1', port))
}

/** A connection to a node as its administrator; whoever asks for it ends it. @throws when the node does not answer. */
export async function connectNode(
  parts: ClusterParts,
  node: ClusterNodeRow,
  options: { replication?: boolean; queryTimeoutMs?: number; connectTimeoutMs?: number } = {},
): Promise<pg.Client> {
  const directory = parts.directories.path(nodeName(node))
  const port = await runningPort(directory)
  if (port === undefined) throw new Error(`The node ${nodeName(node)} does not run`)
  return connectPostgres({
    ...adminConfig({ directory, port }),
    ...(options.replication === true ? { replication: 'database' as const } : {}),
    ...(options.connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: options.connectTimeoutMs }),
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
  })
}

/** Runs `work` with a connection to a node as its administrator. */
export async function withNode<Result>(
  parts: ClusterParts,
  node: ClusterNodeRow,
  work: (client: pg.Client) => Promise<Result>,
  options: { queryTimeoutMs?: number } = {},
): Promise<Result> {
  return withPostgres(connectNode(parts, node, options), work)
}

/** Lets standbys in: their login, and the rule that admits it. Repeated harmlessly; copies of the node have it too. */
export async function admitStandbys(
  parts: ClusterParts,
  node: ClusterNodeRow,
  client: pg.Client,
  password: string,
): Promise<void> {
  await client.query(`do $$ begin
      if not exists (select from pg_roles where rolname = '${REPLICA_LOGIN}') then create role ${REPLICA_LOGIN}; end if;
    end $$;
    alter role ${REPLICA_LOGIN} login replication noinherit nosuperuser nobypassrls nocreatedb nocreaterole
      password '${makeScramVerifier(password)}'`)
  const path = join(parts.directories.path(nodeName(node)), 'pg_hba.conf')
  const rules = await readFile(path, 'utf8')
  if (rules.includes(HBA_LINE)) return
  await writeOwned(path, rules + HBA_LINE, node)
  await client.query('select pg_reload_conf()')
}

/** How a node finds the primary that it follows. The password's alphabet needs no quotes. */
export function followingOf(
  parts: ClusterParts,
  { row }: ClusterState,
  node: ClusterNodeRow,
  primaryPort: number,
): string {
  const password = parts.sealer.open(row.sealed_replica_password, `server:${row.server}`)
  return `host=127.0.0.1 port=${primaryPort} user=${REPLICA_LOGIN} password=${password} application_name=${followerName(node)}`
}

/** Makes a directory whose server does not run that of a standby. */
export async function makeStandby(directory: string, node: ClusterNodeRow, following: string): Promise<void> {
  const settings = `primary_conninfo = '${following}'\nprimary_slot_name = '${followerName(node)}'\n`
  await writeOwned(join(directory, 'postgresql.auto.conf'), settings, node)
  await writeOwned(join(directory, 'standby.signal'), '', node)
}

/** True when the directory of a node is that of a standby. */
export async function isStandby(parts: ClusterParts, node: ClusterNodeRow): Promise<boolean> {
  return stat(join(parts.directories.path(nodeName(node)), 'standby.signal')).then(
    () => true,
    () => false,
  )
}

/** Lets a running standby follow another primary; nothing happens when it does so already. */
export async function repoint(client: pg.Client, following: string): Promise<void> {
  const current = await client.query<{ primary_conninfo: string }>('show primary_conninfo')
  if (current.rows[0]?.primary_conninfo === following) return
  await client.query(`alter system set primary_conninfo = '${following}'`)
  await client.query('select pg_reload_conf()')
}

async function writeOwned(path: string, text: string, { os_uid }: ClusterNodeRow): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  if (os_uid !== null) await chown(`${path}.new`, os_uid, os_uid)
  await rename(`${path}.new`, path)
}
