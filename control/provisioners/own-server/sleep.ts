import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../runtime/log.ts'
import type { PostgresPool } from '../../../runtime/postgres-pool.ts'
import { PLATFORM_MARK } from '../../../tenancy/platform-statements.ts'
import type { TenantStatus } from '../../../tenancy/tenant.ts'
import { Slots } from '../../slots.ts'
import { makeChange, type PublishTouched } from '../../stores/change.ts'
import { lockTenant, updateTenant } from '../../stores/tenant-store.ts'
import type { OwnServers } from './supervisor.ts'

/** After this every gateway knows that a tenant is paused, and what was under way has shown itself. */
const SETTLE_MS = 500
/** Each holds a connection to the metadata while the server starts. */
const CONCURRENT_WAKES = 6
/** Each holds one for a moment, and waits for others' requests while it holds none. */
const CONCURRENT_LOOKS = 4

/**
 * Lets tenants' own servers sleep while nobody asks for them. Both ways hold the tenant's row while the server starts or
 * stops, so a request that wakes it and the watch that puts it to sleep never meet half-way:
 *   active ─► paused (published) ─ settle ─► quiet still? ─► stopped          (no: back to active)
 *   paused ─► started ─► active (published)
 */
export class TenantSleep {
  readonly #pool: PostgresPool
  readonly #publish: PublishTouched
  readonly #servers: OwnServers
  readonly #log: Logger
  readonly #wakes = new Slots(CONCURRENT_WAKES)
  readonly #lastSeenMs = new Map<string, number>()
  #wasAsked: (tenantId: string, withinMs: number) => boolean = () => false

  constructor(options: { pool: PostgresPool; publish: PublishTouched; servers: OwnServers; log: Logger }) {
    this.#pool = options.pool
    this.#publish = options.publish
    this.#servers = options.servers
    this.#log = options.log
  }

  /**
   * Also believes what gateways tell of a tenant's requests: in the server itself a statement of the platform's, which does not count, hides
   * the request before it.
   */
  alsoAsk(wasAsked: (tenantId: string, withinMs: number) => boolean): void {
    this.#wasAsked = wasAsked
  }

  /** Wakes a paused tenant; resolves with its status when that is what it is, `undefined` for an unknown one. */
  async wake(tenantId: string): Promise<TenantStatus | undefined> {
    return this.#wakes.run(() =>
      makeChange(this.#pool, this.#publish, async (change) => {
        const tenant = await lockTenant(change, tenantId)
        if (tenant?.status !== 'paused') return tenant?.status
        await this.#servers.ensureRunning(tenantId)
        this.#lastSeenMs.set(tenantId, performance.now())
        return (await updateTenant(change, tenantId, { status: 'active' })).status
      }),
    )
  }

  /** Pauses an active tenant; false when it is not active or was asked for meanwhile. */
  async pause(tenantId: string): Promise<boolean> {
    const begun = await makeChange(this.#pool, this.#publish, async (change) => {
      const tenant = await lockTenant(change, tenantId)
      // A tenant that has just moved away is not put to sleep by the server that it has left.
      if (tenant?.status !== 'active' || tenant.server !== tenantId) return false
      await updateTenant(change, tenantId, { status: 'paused' })
      return true
    })
    if (!begun) return false
    await sleep(SETTLE_MS)
    return makeChange(this.#pool, this.#publish, async (change) => {
      const tenant = await lockTenant(change, tenantId)
      if (tenant?.status !== 'paused') return false
      if (await this.#isActive(tenantId, SETTLE_MS)) {
        await updateTenant(change, tenantId, { status: 'active' })
        return false
      }
      await this.#servers.stop(tenantId)
      return true
    })
  }

  /** Looks at every server that runs here and pauses those that were quiet for `quietMs`. */
  async pauseQuiet(quietMs: number, sinceLastLookMs: number): Promise<void> {
    const slots = new Slots(CONCURRENT_LOOKS)
    await Promise.all(
      this.#servers.watched().map((tenantId) => slots.run(() => this.#look(tenantId, quietMs, sinceLastLookMs))),
    )
  }

  async #look(tenantId: string, quietMs: number, sinceLastLookMs: number): Promise<void> {
    const nowMs = performance.now()
    const isActive = await this.#isActive(tenantId, sinceLastLookMs).catch(() => true)
    const lastSeenMs = this.#lastSeenMs.get(tenantId)
    if (isActive || lastSeenMs === undefined) this.#lastSeenMs.set(tenantId, nowMs)
    else if (nowMs - lastSeenMs >= quietMs && (await this.pause(tenantId))) {
      this.#lastSeenMs.delete(tenantId)
      this.#log.info({ tenant_id: tenantId }, 'a quiet tenant was paused')
    }
  }

  /** Whether a backend's connection did anything in the last `withinMs`; those that only listen do not count. */
  async #isActive(tenantId: string, withinMs: number): Promise<boolean> {
    if (this.#wasAsked(tenantId, withinMs)) return true
    return this.#servers.withAdmin(tenantId, async (client) => {
      const result = await client.query(
        `select 1 from pg_stat_activity
         where usename in ('aerodb_request', 'aerodb_ddl') and application_name not like '%-listener'
           and (state <> 'idle' or (state_change > now() - make_interval(secs => $1) and not starts_with(query, $2))) limit 1`,
        [withinMs / 1_000, PLATFORM_MARK],
      )
      return result.rowCount === 1
    })
  }
}
