import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { withPostgres } from '../../../runtime/postgres-client.ts'
import { Slots } from '../../slots.ts'
import { listLivingClusters, listNodes } from '../../stores/cluster-store.ts'
import type { ComputeSource, RunningServers } from '../compute-meter.ts'
import { runningPort, runningSince, stopOwnServer } from '../own-server/own-server.ts'
import { ClusterKeeper } from './cluster-keeper.ts'
import { admitStandbys, connectNode, startPrimary, withNode } from './cluster-node.ts'
import {
  type ClusterParts,
  clusterName,
  nodeName,
  readCluster,
  tenantOfCluster,
  withClusterLock,
} from './cluster-parts.ts'
import { type NodeStatus, readClusterStatus } from './cluster-status.ts'
import type { DedicatedBackends } from './dedicated-backends.ts'
import { failOver } from './fail-over.ts'
import { fenceServer } from './fence.ts'

/** How often it is looked which clusters are to run here. */
const REFRESH_MS = 3_000
const CHANGING = 4
const REBUILDING = 2

/**
 * The clusters of this machine. Each that is to run has a keeper, in every control process of the machine; when control was
 * away, those that do not run any more are started, for clusters do not sleep.
 */
export class Clusters implements ComputeSource {
  readonly machine: string
  readonly #parts: ClusterParts
  readonly #beforeStop: (tenantId: string) => Promise<void>
  readonly #backends: DedicatedBackends | undefined
  readonly #keepers = new Map<string, ClusterKeeper>()
  /** Removed by us: not to be looked after any more, though the tables may still name them for a moment. */
  readonly #removed = new Set<string>()
  readonly #starting = new Map<string, Promise<void>>()
  #loop: Promise<void> | undefined
  readonly #stopping = new AbortController()

  constructor(
    options: Omit<ClusterParts, 'changing' | 'rebuilding'> & {
      /** The name of this machine's data. */
      machine: string
      /** Told of each cluster that is about to be stopped; what it throws is logged. */
      beforeStop: (tenantId: string) => Promise<void>
      /** Where each cluster's tenant has a backend of its own, if it has one. */
      backends: DedicatedBackends | undefined
    },
  ) {
    this.machine = options.machine
    this.#beforeStop = options.beforeStop
    this.#backends = options.backends
    this.#parts = { ...options, changing: new Slots(CHANGING), rebuilding: new Slots(REBUILDING) }
  }

  /** Names of the clusters that are kept here. */
  watched(): string[] {
    return [...this.#keepers.keys()]
  }

  start(): void {
    this.#loop = (async () => {
      while (!this.#stopping.signal.aborted) {
        await this.#refresh().catch((fault) =>
          this.#parts.log.error({ err: fault }, 'the clusters could not be listed'),
        )
        await sleep(REFRESH_MS, undefined, { signal: this.#stopping.signal }).catch(() => {})
      }
    })()
  }

  /** Stops keeping; the nodes go on, and no cluster is started any more. Those that may run here. */
  async close(): Promise<string[]> {
    this.#stopping.abort()
    await this.#loop
    const running = [...new Set([...this.#keepers.keys(), ...this.#starting.keys()])]
    await Promise.allSettled(this.#starting.values())
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper.stop()))
    this.#keepers.clear()
    await this.#backends?.close()
    return running
  }

  /** Starts the primary, made if it is not there; callers at once share one start. */
  ensureRunning(server: string): Promise<void> {
    this.#removed.delete(server)
    return this.#startOnce(server, async () => {
      const { primary } = await readCluster(this.#parts, server)
      await this.#parts.directories.ensure(nodeName(primary), primary.os_uid ?? undefined)
    })
  }

  /** Makes the nodes that are to be made anew, and resolves when all count for the quorum. */
  async makeWhole(server: string): Promise<void> {
    const { row, primary, rebuilding } = await readCluster(this.#parts, server)
    const password = this.#parts.sealer.open(row.sealed_replica_password, `server:${server}`)
    await withNode(this.#parts, primary, (client) => admitStandbys(this.#parts, primary, client, password))
    const keeper = this.#keepers.get(server)
    if (keeper === undefined) throw new Error(`The cluster ${server} is not kept here`)
    await Promise.all(rebuilding.map(({ node }) => keeper.rebuild(node)))
  }

  /** Stops all nodes, the primary first: it gives its standbys the last of its log. The data stays. */
  async stop(server: string): Promise<void> {
    await this.#release(server)
    await withClusterLock(this.#parts, server, () => this.#stopNodes(server))
  }

  /** Stops all nodes and removes their data. */
  async remove(server: string): Promise<void> {
    this.#removed.add(server)
    await this.#release(server)
    await withClusterLock(this.#parts, server, async () => {
      await this.#stopNodes(server)
      for (const name of await this.#nodeNames(server)) await this.#parts.directories.remove(name)
      await this.#backends?.forget(server)
    })
  }

  /** A connection to the primary as administrator; whoever asks for it ends it. */
  async connect(server: string, options: { replication?: boolean } = {}): Promise<pg.Client> {
    const { primary } = await readCluster(this.#parts, server)
    return connectNode(this.#parts, primary, options)
  }

  /** Runs `work` with a connection to the primary as administrator. */
  async withAdmin<Result>(server: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    return withPostgres(this.connect(server), work)
  }

  /** True when the primary runs. */
  async isRunning(server: string): Promise<boolean> {
    const { primary } = await readCluster(this.#parts, server)
    return (await runningPort(this.#parts.directories.path(nodeName(primary)))) !== undefined
  }

  /** The nodes of a cluster. */
  readStatus(server: string): Promise<NodeStatus[]> {
    return readClusterStatus(this.#parts, server)
  }

  /** The kept clusters that run, with how many nodes, and since when. */
  async listRunning(): Promise<RunningServers[]> {
    const all = await Promise.all(this.watched().map((server) => this.findRunning(tenantOfCluster(server))))
    return all.filter((one) => one !== undefined)
  }

  async findRunning(tenantId: string): Promise<RunningServers | undefined> {
    const nodes = await listNodes(this.#parts.pool, clusterName(tenantId))
    const since = await Promise.all(nodes.map((node) => runningSince(this.#parts.directories.path(nodeName(node)))))
    const running = since.filter((one) => one !== undefined)
    return running.length === 0 ? undefined : { tenantId, startedAtMs: Math.min(...running), servers: running.length }
  }

  async #refresh(): Promise<void> {
    const living = new Set(await listLivingClusters(this.#parts.pool, this.machine))
    for (const server of this.watched()) if (!living.has(server)) await this.#release(server)
    for (const server of living)
      if (!this.#removed.has(server) && !this.#keepers.has(server) && !this.#stopping.signal.aborted)
        void this.#startOnce(server, async () => {}).catch((fault) =>
          this.#parts.log.error({ err: fault, server }, 'a cluster could not be started'),
        )
  }

  #startOnce(server: string, prepare: () => Promise<void>): Promise<void> {
    let starting = this.#starting.get(server)
    if (starting === undefined && this.#stopping.signal.aborted) return Promise.reject(new Error('Control is stopping'))
    if (starting === undefined) {
      starting = withClusterLock(this.#parts, server, async () => {
        await prepare()
        await this.#startPrimary(server)
      }).finally(() => this.#starting.delete(server))
      this.#starting.set(server, starting)
    }
    return starting
  }

  async #startPrimary(server: string): Promise<void> {
    const state = await readCluster(this.#parts, server)
    try {
      await startPrimary(this.#parts, state)
    } catch (fault) {
      if (state.members.length === 0) throw fault
      this.#parts.log.error({ err: fault, server }, 'a primary does not start')
      await failOver(this.#parts, state)
    }
    if (this.#keepers.has(server) || this.#stopping.signal.aborted) return
    this.#keepers.set(server, new ClusterKeeper(this.#parts, server))
    this.#backends?.start(server)
  }

  async #release(server: string): Promise<void> {
    await this.#starting.get(server)?.catch(() => {})
    const keeper = this.#keepers.get(server)
    this.#keepers.delete(server)
    await keeper?.stop()
    await this.#backends?.stop(server)
    await this.#beforeStop(tenantOfCluster(server)).catch((fault) =>
      this.#parts.log.error({ err: fault, server }, 'the last running time of a cluster was not measured'),
    )
  }

  async #stopNodes(server: string): Promise<void> {
    const { directories } = this.#parts
    const { primary } = await readCluster(this.#parts, server)
    await stopOwnServer(directories.path(nodeName(primary)))
    await Promise.all(
      (await this.#nodeNames(server)).map(async (name) => {
        await stopOwnServer(directories.path(name))
        await fenceServer(directories.path(name))
      }),
    )
  }

  async #nodeNames(server: string): Promise<string[]> {
    const { primary, members, rebuilding } = await readCluster(this.#parts, server)
    return [primary, ...members, ...rebuilding].map(nodeName)
  }
}
