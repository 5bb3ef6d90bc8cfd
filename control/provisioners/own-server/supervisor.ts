import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from '../../../runtime/log.ts'
import type { PostgresBinaries } from '../../../runtime/postgres-binaries.ts'
import { connectPostgres, withPostgres } from '../../../runtime/postgres-client.ts'
import { inTransaction, type PostgresPool } from '../../../runtime/postgres-pool.ts'
import { findServerOn } from '../../../runtime/postgres-server.ts'
import { Slots } from '../../slots.ts'
import { makeChange, type PublishTouched } from '../../stores/change.ts'
import { findServer, moveServer, type ServerRow } from '../../stores/server-store.ts'
import type { ComputeSource, RunningServers } from '../compute-meter.ts'
import type { ReadMemory } from '../server-memory.ts'
import type { DataDirectories } from './data-directory.ts'
import { adminConfig, runningPort, runningSince, startOnSomePort, stopOwnServer } from './own-server.ts'

const WATCH_MS = 500
const FIRST_BACK_OFF_MS = 100
const MAX_BACK_OFF_MS = 10_000
/** A server that has run for so long starts its back-off anew. */
const STABLE_MS = 60_000
/** Servers started or stopped at once: each costs a core for a moment. */
const CONCURRENCY = 4

type Watched = { isStarting: boolean; failures: number; notBeforeMs: number; upSinceMs: number }

/**
 * Keeps the tenants' own servers of this machine running: started on demand, restarted with a back-off when they die,
 * adopted when control was restarted. Of several control processes on one machine each may start one, one at a time
 * (an advisory lock), and Postgres itself refuses a second postmaster on a directory.
 */
export class OwnServers implements ComputeSource {
  readonly #pool: PostgresPool
  readonly #publish: PublishTouched
  readonly #directories: DataDirectories
  readonly #binaries: PostgresBinaries
  readonly #log: Logger
  readonly #readMemory: ReadMemory
  readonly #beforeStop: (tenantId: string) => Promise<void>
  readonly node: string
  readonly #watched = new Map<string, Watched>()
  readonly #starting = new Map<string, Promise<void>>()
  readonly #slots = new Slots(CONCURRENCY)
  #stopped = false
  #loop: Promise<void> | undefined

  constructor(options: {
    pool: PostgresPool
    publish: PublishTouched
    directories: DataDirectories
    binaries: PostgresBinaries
    node: string
    log: Logger
    readMemory: ReadMemory
    /** Told of each server that is about to be stopped; what it throws is logged. */
    beforeStop?: (tenantId: string) => Promise<void>
  }) {
    this.#pool = options.pool
    this.#publish = options.publish
    this.#directories = options.directories
    this.#binaries = options.binaries
    this.node = options.node
    this.#log = options.log
    this.#readMemory = options.readMemory
    this.#beforeStop = options.beforeStop ?? (async () => {})
  }

  /** Ids of the tenants whose servers are to run here. */
  watched(): string[] {
    return [...this.#watched.keys()]
  }

  /** Begins to watch, with the servers that run already. */
  start(adopted: readonly string[]): void {
    for (const tenantId of adopted) this.#watch(tenantId)
    this.#loop = (async () => {
      while (!this.#stopped) {
        for (const tenantId of this.#watched.keys()) await this.#look(tenantId)
        await sleep(WATCH_MS)
      }
    })()
  }

  /** Stops watching; the servers go on, and none is started any more. */
  async close(): Promise<void> {
    this.#stopped = true
    await this.#loop
    await Promise.allSettled(this.#starting.values())
  }

  /** True when the tenant's server runs. */
  async isRunning(tenantId: string): Promise<boolean> {
    return (await findServerOn(this.#directories.path(tenantId))) !== undefined
  }

  /** The watched servers that run, and since when. */
  async listRunning(): Promise<RunningServers[]> {
    const all = await Promise.all(this.watched().map((tenantId) => this.findRunning(tenantId)))
    return all.filter((one) => one !== undefined)
  }

  async findRunning(tenantId: string): Promise<RunningServers | undefined> {
    const startedAtMs = await runningSince(this.#directories.path(tenantId))
    return startedAtMs === undefined ? undefined : { tenantId, startedAtMs, servers: 1 }
  }

  /** Makes the data directory if needed and starts the server unless it runs; callers at once share one start. */
  ensureRunning(tenantId: string): Promise<void> {
    let starting = this.#starting.get(tenantId)
    if (starting === undefined && this.#stopped) return Promise.reject(new Error('Control is stopping'))
    if (starting === undefined) {
      starting = this.#slots.run(() => this.#startLocked(tenantId)).finally(() => this.#starting.delete(tenantId))
      this.#starting.set(tenantId, starting)
    }
    return starting
  }

  /** Stops the server and no longer watches it. */
  async stop(tenantId: string): Promise<void> {
    this.#watched.delete(tenantId)
    await this.#starting.get(tenantId)?.catch(() => {})
    this.#watched.delete(tenantId)
    await this.#beforeStop(tenantId).catch((fault) =>
      this.#log.error({ err: fault, tenant_id: tenantId }, 'the last running time of a server was not measured'),
    )
    await this.#slots.run(() => stopOwnServer(this.#directories.path(tenantId)))
  }

  /** Stops the server and removes its data. */
  async remove(tenantId: string): Promise<void> {
    await this.stop(tenantId)
    await this.#directories.remove(tenantId)
  }

  /** A connection as administrator; whoever asks for it ends it. */
  async connect(tenantId: string, { replication = false }: { replication?: boolean } = {}): Promise<pg.Client> {
    const directory = this.#directories.path(tenantId)
    const port = await runningPort(directory)
    if (port === undefined) throw new Error('The server of the tenant does not run')
    return connectPostgres({
      ...adminConfig({ directory, port }),
      ...(replication ? { replication: 'database' as const } : {}),
    })
  }

  /** Runs `work` with one connection as administrator. */
  async withAdmin<Result>(tenantId: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    return withPostgres(this.connect(tenantId), work)
  }

  async #startLocked(tenantId: string): Promise<void> {
    // It may have waited for its turn.
    if (this.#stopped) throw new Error('Control is stopping')
    await inTransaction(this.#pool, async (tx) => {
      await tx.query(`select pg_advisory_xact_lock(hashtextextended('control.own-server:' || $1, 0))`, [tenantId])
      const row = await findServer(tx, tenantId)
      if (row === undefined) throw new Error('The tenant has no server of its own')
      if (row.node !== this.node) throw new Error(`The server of ${tenantId} lives on another machine`)
      const directory = await this.#directories.ensure(tenantId, row.os_uid ?? undefined)
      const port = (await runningPort(directory)) ?? (await this.#startServer(row, directory))
      // From here on it is ours to stop, even when nobody can be told of it.
      this.#watch(tenantId)
      // A server that was started by a process that died before it told where.
      if (port !== row.port) await this.#tellPort(tenantId, port)
    })
  }

  async #startServer(row: ServerRow, directory: string): Promise<number> {
    const memory = await this.#readMemory(row.server)
    const settings = { ...memory, max_connections: String(row.max_connections * 2 + 10) }
    return startOnSomePort(this.#binaries, { directory, port: row.port, uid: row.os_uid ?? undefined, settings })
  }

  async #tellPort(tenantId: string, port: number): Promise<void> {
    await makeChange(this.#pool, this.#publish, (change) => moveServer(change, tenantId, '127.0.0.1', port))
  }

  #watch(tenantId: string): void {
    const known = this.#watched.get(tenantId)
    if (known === undefined)
      this.#watched.set(tenantId, {
        isStarting: false,
        failures: 0,
        notBeforeMs: 0,
        upSinceMs: performance.now(),
      })
    else known.upSinceMs = performance.now()
  }

  /** Restarts a watched server that is down, after its back-off, if its tenant is still to be served. */
  async #look(tenantId: string): Promise<void> {
    const watched = this.#watched.get(tenantId)
    if (watched === undefined || watched.isStarting || this.#starting.has(tenantId)) return
    if (await this.isRunning(tenantId)) return
    const nowMs = performance.now()
    if (nowMs < watched.notBeforeMs) return
    watched.isStarting = true
    void this.#restart(tenantId, watched, nowMs).finally(() => {
      watched.isStarting = false
    })
  }

  async #restart(tenantId: string, watched: Watched, nowMs: number): Promise<void> {
    try {
      const tenant = await this.#pool.query(
        `select 1 from control.tenants where tenant_id = $1 and server = $1 and status in ('active', 'suspended', 'migrating')`,
        [tenantId],
      )
      if (this.#stopped) return
      // Paused or removed by another control process.
      if (tenant.rowCount === 0) {
        this.#watched.delete(tenantId)
        return
      }
      watched.failures = nowMs - watched.upSinceMs > STABLE_MS ? 1 : watched.failures + 1
      watched.notBeforeMs = nowMs + Math.min(FIRST_BACK_OFF_MS * 2 ** watched.failures, MAX_BACK_OFF_MS)
      this.#log.warn(
        { tenant_id: tenantId, failures: watched.failures },
        "a tenant's server is down: starting it again",
      )
      await this.ensureRunning(tenantId)
    } catch (fault) {
      this.#log.error({ err: fault, tenant_id: tenantId }, "a tenant's server could not be started")
    }
  }
}
