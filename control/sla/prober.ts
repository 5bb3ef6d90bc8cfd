import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { TenantSignals } from '../../tenancy/tenant-signals.ts'
import { makeChange } from '../stores/change.ts'
import { phaseOf, proberRank } from './charge.ts'
import { CommonFaults } from './common-faults.ts'
import {
  beatProber,
  judgeViews,
  listDoubtful,
  type OutageView,
  QUORUM,
  retireProber,
  saveViews,
} from './outage-store.ts'
import type { Finding, Probe } from './probe.ts'
import { type ActiveTenant, WatchedTenant } from './watched-tenant.ts'

const TICK_MS = 100
/** Looks under way at once; what does not get one is looked at in the next tick. */
const MAX_UNDER_WAY = 512
/** Looks out of turn in one tick: to confirm, and to see when a tenant is back. */
const MAX_EXTRA_LOOKS = 100
/** Between two looks at a tenant that does not answer. */
const RETRY_MS = 1_000
/** A hint that a request failed is followed at most this often. */
const HINT_EVERY_MS = 5_000
/** A process that did not get to look for so long has not looked. */
const STALL_MS = 10_000

export type ProberOptions = {
  proberId: string
  pool: PostgresPool
  probe: Probe
  clock: Clock
  log: Logger
  /** Each tenant that is silent is looked at once in so long. */
  intervalMs: number
  onLook?: (finding: Finding['kind']) => void
  onPassedOver?: () => void
}

/**
 * Looks after tenants. It keeps in memory what it sees and tells the tables what changed; with the tables away it goes on with
 * the tenants that it knows and tells later. Every tenant has two probers where there are two (`charge.ts`), which take turns;
 * one that gateways tell to be served well is passed over; one in doubt is looked at every second over new connections.
 */
export class Prober {
  readonly #options: ProberOptions
  readonly #tenants = new Map<string, WatchedTenant>()
  /** Tenants to be looked at out of turn. */
  readonly #extra = new Set<WatchedTenant>()
  /** By place in the round. */
  #wheel: WatchedTenant[][] = []
  #living: readonly string[]
  #lastTickMs: number
  #observingSinceMs: number
  readonly #faults = new CommonFaults()
  #untold = new Map<string, OutageView>()
  #answering = new Map<string, number>()
  readonly #underWay = new Set<Promise<void>>()
  #isAway = false
  readonly #stopping = new AbortController()
  #loops: Promise<void>[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: ProberOptions) {
    this.#options = options
    this.#living = [options.proberId]
    this.#lastTickMs = options.clock.nowMs()
    this.#observingSinceMs = this.#lastTickMs
  }

  get tenantCount(): number {
    return this.#tenants.size
  }

  get downCount(): number {
    return this.#tenants.values().reduce((sum, tenant) => sum + (tenant.isDown ? 1 : 0), 0)
  }

  /** Whether gateways told that the tenant was asked for something in the last `withinMs`. */
  wasAsked(tenantId: string, withinMs: number): boolean {
    const askedMs = this.#tenants.get(tenantId)?.askedMs ?? Number.NEGATIVE_INFINITY
    return this.#options.clock.nowMs() - askedMs < withinMs
  }

  /** From here on what is not seen well counts: time before is nobody's. */
  start(): void {
    this.#lastTickMs = this.#options.clock.nowMs()
    this.#observingSinceMs = this.#lastTickMs
    this.#timer = setInterval(() => this.tick(), TICK_MS)
    this.#loops = [this.#repeat(1_000, () => this.persist()), this.#repeat(5_000, () => this.refresh())]
  }

  /** Stops looking (also one that never began), tells what is untold and gives its tenants to the others. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping.abort()
    await Promise.all(this.#loops)
    await this.settled()
    await this.persist()
    await retireProber(this.#options.pool, this.#options.proberId).catch(() => {})
  }

  /** Resolves when no look is under way. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  /** Takes over what gateways tell. */
  hear(signals: TenantSignals): void {
    const nowMs = this.#options.clock.nowMs()
    for (const tenantId of signals.answered) {
      const tenant = this.#tenants.get(tenantId)
      if (tenant === undefined) continue
      this.#seenWell(tenant, nowMs)
      tenant.askedMs = nowMs
    }
    for (const tenantId of signals.healthy) {
      const tenant = this.#tenants.get(tenantId)
      if (tenant !== undefined) this.#seenWell(tenant, nowMs)
    }
    for (const tenantId of signals.failed) {
      const tenant = this.#tenants.get(tenantId)
      if (tenant === undefined) continue
      // What failed was not its health only: the prober's own look at a tenant that is down comes back here as well.
      if (!tenant.isInDoubt) tenant.askedMs = nowMs
      if (nowMs - tenant.lastLookMs >= HINT_EVERY_MS && this.#rankOf(tenant) !== undefined)
        this.#lookSoon(tenant, nowMs)
    }
  }

  /** Begins the looks that are due. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs()
    const sinceMs = nowMs - this.#lastTickMs
    if (sinceMs > STALL_MS || sinceMs < 0) this.#observingSinceMs = nowMs
    const [first, last] = [Math.floor(this.#lastTickMs / TICK_MS), Math.floor(nowMs / TICK_MS)]
    this.#lastTickMs = nowMs
    // Of the line as it is now: who goes to its end would otherwise come up again, for ever.
    for (const tenant of [...this.#extra]) {
      if (this.#underWay.size >= MAX_EXTRA_LOOKS) break
      if (tenant.isBeingLookedAt || tenant.nextLookMs === undefined || tenant.nextLookMs > nowMs) continue
      // To the end of the line.
      this.#extra.delete(tenant)
      this.#extra.add(tenant)
      this.#begin(tenant, nowMs, true)
    }
    const size = this.#wheel.length
    for (let place = Math.max(first + 1, last - size + 1); place <= last && size > 0; place++) {
      for (const tenant of this.#wheel[place % size] ?? []) {
        if (nowMs - tenant.seenWellMs < this.#options.intervalMs && !tenant.isInDoubt) this.#options.onPassedOver?.()
        else if (this.#presume(tenant, nowMs)) this.#lookSoon(tenant, nowMs)
        else if (this.#underWay.size >= MAX_UNDER_WAY) this.#lookSoon(tenant, nowMs)
        else if (tenant.nextLookMs === undefined) this.#begin(tenant, nowMs, false)
      }
    }
  }

  /** Reads anew which tenants are to be looked at. */
  async refresh(): Promise<void> {
    const { rows } = await this.#options.pool.query<ActiveTenant>(
      `select tenant_id, name, backend is not null as is_registered, server from control.tenants where status = 'active'`,
    )
    const nowMs = this.#options.clock.nowMs()
    const active = new Set(rows.map((row) => row.tenant_id))
    for (const tenant of this.#tenants.values()) if (!active.has(tenant.tenantId)) this.#drop(tenant, nowMs)
    for (const row of rows) {
      const known = this.#tenants.get(row.tenant_id)
      if (known?.isSame(row) === true) continue
      if (known !== undefined) this.#drop(known, nowMs)
      this.#tenants.set(row.tenant_id, new WatchedTenant(row))
    }
    this.#buildWheel()
  }

  /** Tells the tables what was seen, has it judged, and learns what the other probers see. */
  async persist(): Promise<void> {
    const { pool, proberId, clock, log } = this.#options
    const [untold, answering] = [this.#untold, this.#answering]
    this.#untold = new Map()
    this.#answering = new Map()
    try {
      const views = [...untold.values()]
      const { living, doubtful } = await makeChange(
        pool,
        async () => {},
        async (change) => {
          const living = await beatProber(change, proberId, this.#observingSinceMs, clock.nowMs())
          await saveViews(change, proberId, views)
          const doubtful = await listDoubtful(change.tx)
          if (doubtful.length > 0 || views.length > 0) {
            const ended = [...answering].map(([tenantId, atMs]) => ({ tenantId, atMs }))
            const judgement = await judgeViews(change, ended, clock.nowMs())
            if (judgement.opened + judgement.ended > 0) log.warn(judgement, 'incidents have changed')
          }
          return { living, doubtful }
        },
      )
      if (this.#isAway) log.info('what was seen of tenants is written again')
      this.#isAway = false
      this.#followOthers(living, doubtful)
    } catch (fault) {
      // Kept until the tables are back; what has changed meanwhile is the later truth.
      this.#untold = new Map([...untold, ...this.#untold])
      this.#answering = new Map([...answering, ...this.#answering])
      if (!this.#isAway) log.warn({ err: fault }, 'what is seen of tenants cannot be written: it is kept')
      this.#isAway = true
    }
  }

  #followOthers(living: readonly string[], doubtful: readonly { tenant_id: string; has_incident: boolean }[]): void {
    if (living.join() !== this.#living.join()) {
      this.#living = living
      this.#buildWheel()
    }
    const withIncident = new Set(doubtful.filter((one) => one.has_incident).map((one) => one.tenant_id))
    const nowMs = this.#options.clock.nowMs()
    for (const tenant of this.#tenants.values()) tenant.hasIncident = withIncident.has(tenant.tenantId)
    for (const { tenant_id } of doubtful) {
      const tenant = this.#tenants.get(tenant_id)
      if (tenant !== undefined && this.#rankOf(tenant) !== undefined) this.#lookSoon(tenant, nowMs)
    }
  }

  #rankOf(tenant: WatchedTenant): number | undefined {
    return proberRank(tenant.tenantId, this.#options.proberId, this.#living)
  }

  /** With two probers a round takes twice as long, and the second has its turn in the middle of the first one's. */
  #buildWheel(): void {
    const share = Math.min(this.#living.length, QUORUM)
    const size = Math.max(1, Math.round((this.#options.intervalMs * share) / TICK_MS))
    const wheel: WatchedTenant[][] = Array.from({ length: size }, () => [])
    for (const tenant of this.#tenants.values()) {
      const rank = this.#rankOf(tenant)
      if (rank === undefined) this.#end(tenant.endView(this.#options.clock.nowMs()))
      else wheel[Math.floor((phaseOf(tenant.tenantId) + rank / share) * size) % size]?.push(tenant)
    }
    this.#wheel = wheel
  }

  #seenWell(tenant: WatchedTenant, nowMs: number): void {
    tenant.seenWellMs = nowMs
    this.#faults.clear(tenant.tenantId, tenant.server, nowMs)
  }

  /** Takes a tenant that lies behind a proven fault for down, without asking; it is asked when its turn in the line comes. */
  #presume(tenant: WatchedTenant, nowMs: number): boolean {
    if (tenant.isDown || tenant.isBeingLookedAt) return false
    const fault = this.#faults.find(tenant.server, nowMs, this.#options.intervalMs)
    if (fault === undefined) return false
    this.#noteDown(tenant, { kind: 'down', ...fault }, nowMs, nowMs, true)
    return true
  }

  #noteDown(
    tenant: WatchedTenant,
    finding: Finding & { kind: 'down' },
    beganMs: number,
    nowMs: number,
    isCertain: boolean,
  ): void {
    this.#end(tenant.noteDown(finding, beganMs, isCertain))
    if (tenant.isDown) this.#faults.add(tenant.tenantId, tenant.server, finding.cause, finding.detail)
    tenant.nextLookMs = nowMs + RETRY_MS
    this.#extra.add(tenant)
  }

  #lookSoon(tenant: WatchedTenant, nowMs: number): void {
    tenant.nextLookMs ??= nowMs
    this.#extra.add(tenant)
  }

  #begin(tenant: WatchedTenant, beganMs: number, isFresh: boolean): void {
    if (tenant.isBeingLookedAt) return
    tenant.isBeingLookedAt = true
    tenant.lastLookMs = beganMs
    const look = this.#look(tenant, beganMs, isFresh).finally(() => {
      tenant.isBeingLookedAt = false
      this.#underWay.delete(look)
    })
    this.#underWay.add(look)
  }

  async #look(tenant: WatchedTenant, beganMs: number, isFresh: boolean): Promise<void> {
    const finding = await this.#options.probe(tenant, { isFresh })
    this.#options.onLook?.(finding.kind)
    // Dropped or given to others meanwhile.
    if (this.#tenants.get(tenant.tenantId) !== tenant) return
    const nowMs = this.#options.clock.nowMs()
    if (finding.kind === 'down') {
      const isCertain = this.#faults.find(tenant.server, nowMs, this.#options.intervalMs)?.cause === finding.cause
      this.#noteDown(tenant, finding, beganMs, nowMs, isCertain)
      return
    }
    this.#end(tenant.endView(nowMs))
    if (finding.kind === 'up') this.#seenWell(tenant, nowMs)
    if (tenant.hasIncident && finding.kind === 'up') this.#answering.set(tenant.tenantId, nowMs)
    tenant.nextLookMs = undefined
    this.#extra.delete(tenant)
  }

  #drop(tenant: WatchedTenant, nowMs: number): void {
    this.#end(tenant.endView(nowMs))
    this.#tenants.delete(tenant.tenantId)
    this.#faults.forget(tenant.tenantId, tenant.server)
    this.#extra.delete(tenant)
  }

  /** A view has begun or ended: it is to be told. */
  #end(view: OutageView | undefined): void {
    if (view !== undefined) this.#untold.set(`${view.tenantId} ${view.sinceMs}`, view)
  }

  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await work().catch((fault) => this.#options.log.debug({ err: fault }, 'the prober could not read the tables'))
      await sleep(everyMs, undefined, { signal }).catch(() => {})
    }
  }
}
