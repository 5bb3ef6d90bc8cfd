import type { Logger } from '../runtime/log.ts'
import type { RedisClient } from '../runtime/redis.ts'
import { SIGNALS_CHANNEL, type TenantSignals } from '../tenancy/tenant-signals.ts'
import type { Exchange } from './exchange.ts'
import type { TenantEntry } from './tenant-entry.ts'

const TELL_EVERY_MS = 1_000
/** That a tenant is well is told at most this often; that it is not, or is well again, at the next turn. */
const TELL_WELL_EVERY_TURNS = 5

const ANSWERED = 1
const HEALTHY = 2
const FAILED = 4

/**
 * Notes in passing which tenants are served well and which are not, so that the prober in control need only ask after the
 * silent ones. On the hot path it is a bit set in the tenant's entry; once a second one message tells them all.
 */
export class SignalBoard {
  readonly #redis: Pick<RedisClient, 'publish'>
  readonly #log: Logger
  #marked: TenantEntry[] = []
  #turn = 0
  #timer: NodeJS.Timeout | undefined

  constructor(redis: Pick<RedisClient, 'publish'>, log: Logger) {
    this.#redis = redis
    this.#log = log
  }

  start(): void {
    this.#timer = setInterval(() => this.tell(), TELL_EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Called with every outcome of a forwarded request. */
  note(exchange: Exchange, status: number): void {
    const { tenant } = exchange
    if (tenant === undefined) return
    // Neither admitted nor a health check: it went to control, and says nothing of the tenant.
    if (!exchange.admitted && exchange.path !== '/health') return
    const mark = status >= 500 ? FAILED : status >= 400 ? 0 : exchange.admitted ? ANSWERED : HEALTHY
    if ((tenant.marks & mark) === mark) return
    if (tenant.marks === 0) this.#marked.push(tenant)
    tenant.marks |= mark
  }

  /** Tells what was noted since the last turn. What cannot be told is forgotten: the prober asks. */
  tell(): void {
    const turn = this.#turn++
    if (this.#marked.length === 0) return
    const signals: TenantSignals = { answered: [], healthy: [], failed: [] }
    for (const tenant of this.#marked) {
      const { marks } = tenant
      tenant.marks = 0
      const isOldNews = marks === tenant.toldMarks && (marks & FAILED) === 0
      if (isOldNews && turn - tenant.toldTurn < TELL_WELL_EVERY_TURNS) continue
      tenant.toldMarks = marks
      tenant.toldTurn = turn
      const { tenant_id: tenantId } = tenant.snapshot
      if ((marks & ANSWERED) !== 0) signals.answered.push(tenantId)
      else if ((marks & HEALTHY) !== 0) signals.healthy.push(tenantId)
      if ((marks & FAILED) !== 0) signals.failed.push(tenantId)
    }
    this.#marked = []
    if (signals.answered.length + signals.healthy.length + signals.failed.length === 0) return
    this.#redis.publish(SIGNALS_CHANNEL, JSON.stringify(signals)).catch((fault: Error) => {
      this.#log.debug({ err: fault }, 'what was seen of tenants could not be told')
    })
  }
}
