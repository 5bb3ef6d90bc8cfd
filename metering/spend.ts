import { z } from 'zod'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { Billing } from './billing.ts'
import { monthOf } from './month.ts'

const micros = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

/** Amounts of a month's draft at which to tell the tenant, and the one at which to stop it (`null`: never). */
export const spendLimitsSchema = z.strictObject({
  alerts_micros: z.array(micros.positive()).max(20).default([]),
  cap_micros: micros.nullable().default(null),
})
export type SpendLimits = z.output<typeof spendLimitsSchema>

/** A limit that was reached. */
export type SpendEvent = {
  event_id: number
  tenant_id: string
  month: string
  kind: 'alert' | 'cap'
  amount_micros: number
  total_micros: number
  reached_at: string
}

/**
 * Watches what tenants with limits spend. Each limit makes one event a month, however many replicas look: the table's key holds
 * it. Nothing is stopped here: control reads the events, tells the tenant, and acts on a cap.
 */
export class SpendWatch {
  readonly #pool: PostgresPool
  readonly #billing: Billing
  readonly #clock: Clock

  constructor(options: { pool: PostgresPool; billing: Billing; clock: Clock }) {
    this.#pool = options.pool
    this.#billing = options.billing
    this.#clock = options.clock
  }

  async saveLimits(tenantId: string, limits: SpendLimits): Promise<void> {
    await this.#pool.query(
      `insert into metering.spend_limits (tenant_id, alerts_micros, cap_micros) values ($1, $2, $3)
       on conflict (tenant_id) do update set alerts_micros = excluded.alerts_micros, cap_micros = excluded.cap_micros,
         updated_at = now()`,
      [tenantId, limits.alerts_micros, limits.cap_micros],
    )
  }

  /** What the tenant has spent this month, and how that stands to its limits. */
  async readSpend(tenantId: string) {
    const month = monthOf(this.#clock.nowMs())
    const [draft, limits] = await Promise.all([this.#billing.draft(tenantId, month), this.#findLimits(tenantId)])
    const total_micros = draft?.total_micros ?? 0
    return {
      tenant_id: tenantId,
      month: month.text,
      currency: draft?.currency ?? null,
      total_micros,
      total: draft?.total ?? null,
      ...limits,
      cap_reached: limits.cap_micros !== null && total_micros >= limits.cap_micros,
    }
  }

  /** Looks at every tenant with limits once. @returns the events that this look has made. */
  async look(): Promise<SpendEvent[]> {
    const month = monthOf(this.#clock.nowMs())
    const { rows } = await this.#pool.query<{ tenant_id: string }>(
      `select tenant_id from metering.spend_limits where cap_micros is not null or alerts_micros <> '{}' order by 1`,
    )
    const made: SpendEvent[] = []
    for (const { tenant_id } of rows) {
      const draft = await this.#billing.draft(tenant_id, month).catch(() => undefined)
      if (draft === undefined) continue
      const events = await this.#pool.query<EventRow>(
        `insert into metering.spend_events (tenant_id, month, kind, amount_micros, total_micros, reached_at)
         select l.tenant_id, $2::date, r.kind, r.amount, $3, $4
         from metering.spend_limits l cross join lateral (
           select 'alert' as kind, unnest(l.alerts_micros) as amount union all select 'cap', l.cap_micros) r
         where l.tenant_id = $1 and r.amount <= $3
         on conflict (tenant_id, month, kind, amount_micros) do nothing returning ${EVENT_COLUMNS}`,
        [tenant_id, `${month.text}-01`, draft.total_micros, new Date(this.#clock.nowMs())],
      )
      made.push(...events.rows.map(toEvent))
    }
    return made
  }

  /** Events after the one with this id, oldest first. */
  async readEvents(after: number, limit: number): Promise<SpendEvent[]> {
    const { rows } = await this.#pool.query<EventRow>(
      `select ${EVENT_COLUMNS} from metering.spend_events where event_id > $1 order by event_id limit $2`,
      [after, limit],
    )
    return rows.map(toEvent)
  }

  async #findLimits(tenantId: string): Promise<SpendLimits> {
    const { rows } = await this.#pool.query<{ alerts: string[]; cap: string | null }>(
      `select alerts_micros::text[] as alerts, cap_micros::text as cap from metering.spend_limits where tenant_id = $1`,
      [tenantId],
    )
    const row = rows[0]
    return {
      alerts_micros: (row?.alerts ?? []).map(Number),
      cap_micros: row === undefined || row.cap === null ? null : Number(row.cap),
    }
  }
}

/** Looks every minute. @returns how to stop. */
export function keepWatchingSpend(watch: SpendWatch, log: Logger, everyMs = 60_000): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    running = running.then(async () => {
      try {
        for (const event of await watch.look()) log.info(event, 'a spend limit was reached')
      } catch (fault) {
        log.error({ err: fault }, 'spend could not be looked at')
      }
    })
  }, everyMs)
  return async () => {
    clearInterval(timer)
    await running
  }
}

type EventRow = Omit<SpendEvent, 'event_id' | 'amount_micros' | 'total_micros' | 'reached_at'> & {
  event_id: string
  amount_micros: string
  total_micros: string
  reached_at: Date
}

const EVENT_COLUMNS = `event_id::text, tenant_id, to_char(month, 'YYYY-MM') as month, kind, amount_micros::text,
  total_micros::text, reached_at`

function toEvent(row: EventRow): SpendEvent {
  return {
    event_id: Number(row.event_id),
    tenant_id: row.tenant_id,
    month: row.month,
    kind: row.kind,
    amount_micros: Number(row.amount_micros),
    total_micros: Number(row.total_micros),
    reached_at: row.reached_at.toISOString(),
  }
}
