import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../runtime/log.ts'
import type { PostgresPool } from '../../../runtime/postgres-pool.ts'
import { Service } from '../../../runtime/service-process.ts'
import { makeChange, type PublishTouched } from '../../stores/change.ts'
import {
  deleteDedicatedBackend,
  expireDedicatedBackends,
  insertDedicatedBackend,
  keepDedicatedBackends,
} from '../../stores/dedicated-backend-store.ts'
import { tenantOfCluster } from './cluster-parts.ts'

const PROGRAM = 'backend/main.ts'
const START_TIMEOUT_MS = 30_000
const RETRY_MS = 5_000
const BEAT_MS = 5_000

function nameOf(server: string): string {
  return `backend-${server}`
}

type Kept = { service: Service | undefined; started: Promise<void> }

/**
 * A backend process for each cluster, which serves its tenant and nobody else: what others' requests cost is not its. It lives
 * and dies with this control process. Whenever it is away gateways go to the shared backends, so it is never needed.
 */
export class DedicatedBackends {
  readonly #pool: PostgresPool
  readonly #publish: PublishTouched
  readonly #owner: string
  readonly #env: Readonly<Record<string, string>>
  readonly #logDirectory: string
  readonly #log: Logger
  readonly #kept = new Map<string, Kept>()
  readonly #stopping = new AbortController()
  readonly #beating: Promise<void>

  constructor(options: {
    pool: PostgresPool
    publish: PublishTouched
    /** This control process. */
    owner: string
    /** What every backend is configured with. */
    env: Readonly<Record<string, string>>
    logDirectory: string
    log: Logger
  }) {
    this.#pool = options.pool
    this.#publish = options.publish
    this.#owner = options.owner
    this.#env = options.env
    this.#logDirectory = options.logDirectory
    this.#log = options.log
    this.#beating = this.#beat()
  }

  /** Starts the backend of a cluster, in the background; it is started again whenever it ends. */
  start(server: string): void {
    if (this.#kept.has(server) || this.#stopping.signal.aborted) return
    const kept: Kept = { service: undefined, started: Promise.resolve() }
    this.#kept.set(server, kept)
    kept.started = this.#startUntilUp(server, kept)
  }

  /** Sends gateways elsewhere, then stops the backend: it ends what it has begun. */
  async stop(server: string): Promise<void> {
    const kept = this.#kept.get(server)
    if (kept === undefined) return
    this.#kept.delete(server)
    await this.#tell(server, undefined)
    await kept.service?.stop()
    await kept.started
  }

  /** Removes what its backend has left: its log. */
  async forget(server: string): Promise<void> {
    await rm(join(this.#logDirectory, `${nameOf(server)}.log`), { force: true })
    await rm(join(this.#logDirectory, `${nameOf(server)}.log.1`), { force: true })
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#beating
    await Promise.all([...this.#kept.keys()].map((server) => this.stop(server)))
  }

  /** The first start may fail for want of something; later ones are the service's own matter. */
  async #startUntilUp(server: string, kept: Kept): Promise<void> {
    while (this.#kept.get(server) === kept) {
      const service = this.#makeService(server)
      kept.service = service
      try {
        await service.start(START_TIMEOUT_MS)
        return
      } catch (fault) {
        await service.stop()
        if (this.#kept.get(server) !== kept) return
        this.#log.error({ err: fault, server }, 'the backend of a cluster did not start')
        await sleep(RETRY_MS, undefined, { signal: this.#stopping.signal }).catch(() => {})
      }
    }
  }

  #makeService(server: string): Service {
    return new Service({
      name: nameOf(server),
      program: PROGRAM,
      env: { ...this.#env, AERODB_BACKEND_PORT: '0', AERODB_BACKEND_TENANT: tenantOfCluster(server) },
      logDirectory: this.#logDirectory,
      onReady: ({ url }) => void this.#tell(server, url),
      onNotice: (text) => this.#log.warn({ server }, text),
      onSpawn: (pid) => {
        if (pid === undefined) void this.#tell(server, undefined)
      },
    })
  }

  async #tell(server: string, url: string | undefined): Promise<void> {
    try {
      await makeChange(this.#pool, this.#publish, async (change) => {
        if (url === undefined) await deleteDedicatedBackend(change, server, this.#owner)
        else if (this.#kept.has(server)) await insertDedicatedBackend(change, { server, owner: this.#owner, url })
      })
    } catch (fault) {
      this.#log.warn({ err: fault, server }, 'where the backend of a cluster serves could not be told')
    }
  }

  async #beat(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await keepDedicatedBackends(this.#pool, this.#owner)
        await makeChange(this.#pool, this.#publish, expireDedicatedBackends)
      } catch (fault) {
        this.#log.warn({ err: fault }, 'the backends of clusters could not be told to be kept')
      }
      await sleep(BEAT_MS, undefined, { signal: this.#stopping.signal }).catch(() => {})
    }
  }
}
