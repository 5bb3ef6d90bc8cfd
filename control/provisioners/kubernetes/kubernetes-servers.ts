import type pg from 'pg'
import { connectPostgres, withPostgres } from '../../../runtime/postgres-client.ts'
import { Problem } from '../../../runtime/problem.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { Queryable } from '../../stores/change.ts'
import { findKubernetesServer, type KubernetesServerRow } from '../../stores/kubernetes-server-store.ts'
import type { NodeStatus } from '../cluster/cluster-status.ts'
import type { ComputeSource, RunningServers } from '../compute-meter.ts'
import { makeClusterManifest } from './cluster-manifest.ts'
import {
  ALL_TENANTS,
  describeCluster,
  type Followers,
  isHibernated,
  isReady,
  nodesOf,
  type ObservedCluster,
  runningOf,
} from './cluster-status.ts'
import type { KubernetesApi } from './kubernetes-api.ts'
import { type OwnerReference, ownedBy } from './manifest.ts'
import { FINALIZER, HIBERNATION_ANNOTATION, resourceName, secretName, WANTED_ANNOTATION } from './names.ts'
import { makeNetworkPolicyManifest } from './network-policy-manifest.ts'
import { makeSecretManifest } from './secret-manifest.ts'
import type { KubernetesSettings } from './settings.ts'
import type { WantedServer } from './wanted-server.ts'

/** One attempt of an operation waits no longer; the next one goes on from there. */
const READY_TIMEOUT_MS = 45_000
const STOP_TIMEOUT_MS = 60_000

export type KubernetesServersOptions = {
  api: KubernetesApi
  settings: KubernetesSettings
  db: Queryable
  sealer: Sealer
  readyTimeoutMs?: number
}

/**
 * Tenants' own servers as resources of Kubernetes: what CloudNativePG does with a `Cluster` is its affair (instances, failover, volumes), that
 * there is one and what it says is ours. Everything may be repeated: resources are applied, not made.
 */
export class KubernetesServers implements ComputeSource {
  readonly settings: KubernetesSettings
  readonly #api: KubernetesApi
  readonly #db: Queryable
  readonly #sealer: Sealer
  readonly #readyTimeoutMs: number

  constructor(options: KubernetesServersOptions) {
    this.settings = options.settings
    this.#api = options.api
    this.#db = options.db
    this.#sealer = options.sealer
    this.#readyTimeoutMs = options.readyTimeoutMs ?? READY_TIMEOUT_MS
  }

  /**
   * Lays the server down, or brings it to what is wanted, and waits until all its instances are ready.
   * @throws Problem 503 `tenant_not_ready` when they are not in time: try again, they go on.
   */
  async ensureRunning(wanted: WantedServer): Promise<void> {
    const name = await this.lay(wanted)
    await this.#setHibernation(name, 'off')
    const seen = await this.#api.waitFor<ObservedCluster>(
      'Cluster',
      name,
      (cluster) => cluster !== undefined && isReady(cluster),
      this.#readyTimeoutMs,
    )
    if (seen !== undefined && isReady(seen)) return
    const why = seen === undefined ? 'it is gone' : describeCluster(seen)
    throw new Problem(503, 'tenant_not_ready', { detail: `The cluster ${name} on Kubernetes is not ready: ${why}` })
  }

  /** Applies the resources of a server. @returns the name of its `Cluster`. */
  async lay(wanted: WantedServer): Promise<string> {
    const { server } = wanted
    const secret = makeSecretManifest(server, await this.#readPassword(server), this.settings)
    const policy = makeNetworkPolicyManifest(server, this.settings)
    const manifest = makeClusterManifest(wanted, this.settings)
    const found = await this.#api.find<ObservedCluster>('Cluster', manifest.metadata.name)
    if (found?.metadata.deletionTimestamp !== undefined)
      throw new Error(
        `Somebody deleted the cluster ${manifest.metadata.name}: its finalizer keeps it, but it cannot be brought back`,
      )
    // The walls stand before anything listens; then they get their owner.
    if (found === undefined) for (const one of [policy, secret]) await this.#api.apply(one)
    const cluster = await this.#api.apply<ObservedCluster>(manifest)
    const owner: OwnerReference = {
      apiVersion: manifest.apiVersion,
      kind: manifest.kind,
      name: manifest.metadata.name,
      uid: cluster.metadata.uid,
    }
    for (const one of [policy, secret]) await this.#api.apply(ownedBy(one, owner))
    return manifest.metadata.name
  }

  /** Whether the `Cluster` of a server says what is wanted; false where there is none. */
  isAsWanted(cluster: ObservedCluster | undefined, wanted: WantedServer): boolean {
    const { annotations = {} } = makeClusterManifest(wanted, this.settings).metadata
    return cluster?.metadata.annotations?.[WANTED_ANNOTATION] === annotations[WANTED_ANNOTATION]
  }

  /** Ends all instances; the volumes stay. */
  async hibernate(server: string): Promise<void> {
    const name = resourceName(server)
    await this.#setHibernation(name, 'on')
    const seen = await this.#api.waitFor<ObservedCluster>(
      'Cluster',
      name,
      (cluster) => cluster === undefined || isHibernated(cluster),
      STOP_TIMEOUT_MS,
    )
    if (seen !== undefined && !isHibernated(seen)) throw new Error(`The cluster ${name} does not hibernate`)
  }

  /** Removes the server with its volumes, which CloudNativePG has the cluster own. */
  async remove(server: string): Promise<void> {
    const name = resourceName(server)
    await this.#api.remove('Cluster', name)
    const cluster = await this.#api.find<ObservedCluster>('Cluster', name)
    const finalizers = cluster?.metadata.finalizers ?? []
    if (cluster !== undefined && finalizers.includes(FINALIZER))
      await this.#api.merge('Cluster', name, {
        // With the version that was read: another's finalizer that comes in between is not lost.
        metadata: {
          resourceVersion: cluster.metadata.resourceVersion,
          finalizers: finalizers.filter((one) => one !== FINALIZER),
        },
      })
    const seen = await this.#api.waitFor<ObservedCluster>(
      'Cluster',
      name,
      (found) => found === undefined,
      STOP_TIMEOUT_MS,
    )
    if (seen !== undefined) throw new Error(`The cluster ${name} is not gone yet`)
    // Where nobody collects what has lost its owner.
    await this.#api.remove('NetworkPolicy', name)
    await this.#api.remove('Secret', secretName(server))
  }

  /** A connection as administrator, at the primary; whoever asks for it ends it. */
  async connect(server: string, { replication = false }: { replication?: boolean } = {}): Promise<pg.Client> {
    const row = await this.#readRow(server)
    return connectPostgres({
      host: row.host,
      port: row.port,
      database: row.database,
      user: 'postgres',
      password: this.#sealer.open(row.sealed_replica_password, `server:${server}`),
      application_name: 'aerodb-control',
      connectionTimeoutMillis: 10_000,
      ...(replication ? { replication: 'database' as const } : {}),
    })
  }

  /** Runs `work` with one connection as administrator. */
  async withAdmin<Result>(server: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    return withPostgres(this.connect(server), work)
  }

  /** What each instance is, does and lacks, as its primary sees it. */
  async readNodes(server: string): Promise<NodeStatus[]> {
    const cluster = await this.#api.find<ObservedCluster>('Cluster', resourceName(server))
    if (cluster === undefined) return []
    const followers = await this.withAdmin(server, readFollowers).catch(() => undefined)
    return nodesOf(cluster, followers)
  }

  listClusters(): Promise<ObservedCluster[]> {
    return this.#api.list<ObservedCluster>('Cluster', ALL_TENANTS)
  }

  async listRunning(): Promise<RunningServers[]> {
    return (await this.listClusters()).map(runningOf).filter((one) => one !== undefined)
  }

  async findRunning(tenantId: string): Promise<RunningServers | undefined> {
    return (await this.listRunning()).find((one) => one.tenantId === tenantId)
  }

  async #setHibernation(name: string, value: 'on' | 'off'): Promise<void> {
    await this.#api.merge('Cluster', name, { metadata: { annotations: { [HIBERNATION_ANNOTATION]: value } } })
  }

  async #readPassword(server: string): Promise<string> {
    return this.#sealer.open((await this.#readRow(server)).sealed_replica_password, `server:${server}`)
  }

  async #readRow(server: string): Promise<KubernetesServerRow> {
    const row = await findKubernetesServer(this.#db, server)
    if (row === undefined) throw new Error(`There is no server ${server} on Kubernetes`)
    return row
  }
}

async function readFollowers(primary: pg.Client): Promise<Followers> {
  const result = await primary.query<{ name: string; state: string; sync: string; bytes: number; seconds: number }>(
    `select application_name as name, state, sync_state as sync,
       greatest(coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0), 0)::float8 as bytes,
       coalesce(extract(epoch from replay_lag), 0)::float8 as seconds
     from pg_stat_replication`,
  )
  return new Map(
    result.rows.map(({ name, state, sync, bytes, seconds }) => [
      name,
      { state, syncState: sync, lagBytes: bytes, lagSeconds: seconds },
    ]),
  )
}
