import type Stripe from 'stripe'
import { z } from 'zod'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { findCustomer } from './stripe-store.ts'

/** Which of our meters are reported, and under which of Stripe's event names. */
export const meterNamesSchema = z
  .strictObject({
    api_requests: z.string().min(1),
    egress_bytes: z.string().min(1),
    ingress_bytes: z.string().min(1),
    realtime_messages: z.string().min(1),
    compute_seconds: z.string().min(1),
  })
  .partial()
export type MeterNames = { [Meter in keyof z.output<typeof meterNamesSchema>]: string | undefined }

const DAY_MS = 86_400_000
/** Records have this long to arrive before a day is reported; what comes later is a further part. */
const GRACE_MS = 6 * 3_600_000
/** Stripe takes events of the last 35 days. */
const REACH_BACK_DAYS = 30
/** For so long Stripe recognises an event that was sent twice by its identifier; past it we ask what has arrived. */
const IDENTIFIER_MS = 23 * 3_600_000
const RETRY_MS = 300_000

type Event = {
  tenantId: string
  day: string
  meter: keyof MeterNames
  part: number
  value: number
  firstAttemptMs: number
}

/**
 * Reports usage to Stripe's billing meters, for tenants that have a customer there. (1) What is to be reported is written down
 * with its value, (2) sent under an identifier made of tenant, day, meter and part, (3) noted as sent. A crash after (2): within a
 * day the identifier makes the repetition void; later the meter's own sums tell whether the event had arrived.
 */
export class StripeMeters {
  readonly #stripe: Stripe
  readonly #pool: PostgresPool
  readonly #clock: Clock
  readonly #log: Logger
  readonly #names: MeterNames
  readonly #meterIds = new Map<string, string>()

  constructor(options: { stripe: Stripe; pool: PostgresPool; clock: Clock; log: Logger; names: MeterNames }) {
    this.#stripe = options.stripe
    this.#pool = options.pool
    this.#clock = options.clock
    this.#log = options.log
    this.#names = options.names
  }

  /** Writes down and sends all that is due. @returns how many events Stripe has now that it had not before. */
  async push(): Promise<number> {
    await this.#writeDown()
    let sent = 0
    for (;;) {
      const event = await this.#claim()
      if (event === undefined) return sent
      try {
        if (await this.#send(event)) sent += 1
        await this.#finish(event, null)
      } catch (fault) {
        this.#log.error({ err: fault, ...event }, 'usage could not be reported to Stripe')
        await this.#finish(event, fault instanceof Error ? fault.message : String(fault))
      }
    }
  }

  async #writeDown(): Promise<void> {
    const until = new Date(this.#clock.nowMs() - GRACE_MS).toISOString().slice(0, 10)
    await this.#pool.query(
      `insert into metering.stripe_meter_events (tenant_id, day, meter, part, value)
       select d.tenant_id, d.day, m.meter, coalesce(e.parts, 0) + 1, m.value - coalesce(e.value, 0)
       from metering.daily_totals d join metering.stripe_customers c using (tenant_id)
       cross join lateral (values ('api_requests', d.requests - d.faults), ('compute_seconds', d.compute_ms / 1000), ('egress_bytes', d.egress_bytes),
         ('ingress_bytes', d.ingress_bytes), ('realtime_messages', d.messages)) m(meter, value)
       left join lateral (select max(part) as parts, sum(value) as value from metering.stripe_meter_events e
         where e.tenant_id = d.tenant_id and e.day = d.day and e.meter = m.meter) e on true
       where d.day < $1::date and d.day >= $1::date - $2::int and m.meter = any($3) and m.value > coalesce(e.value, 0)
       on conflict do nothing`,
      [until, REACH_BACK_DAYS, Object.keys(this.#names)],
    )
  }

  async #claim(): Promise<Event | undefined> {
    const now = new Date(this.#clock.nowMs())
    const { rows } = await this.#pool.query<{
      tenant_id: string
      day: string
      meter: keyof MeterNames
      part: number
      value: string
      first_attempt_at: Date
    }>(
      `update metering.stripe_meter_events e set next_attempt_at = $2, first_attempt_at = coalesce(e.first_attempt_at, $1)
       from (select tenant_id, day, meter, part from metering.stripe_meter_events
             where state = 'open' and next_attempt_at <= $1 order by next_attempt_at limit 1 for update skip locked) c
       where (e.tenant_id, e.day, e.meter, e.part) = (c.tenant_id, c.day, c.meter, c.part)
       returning e.tenant_id, e.day::text, e.meter, e.part, e.value::text, e.first_attempt_at`,
      [now, new Date(now.getTime() + RETRY_MS)],
    )
    const row = rows[0]
    if (row === undefined) return undefined
    const { tenant_id: tenantId, day, meter, part } = row
    return { tenantId, day, meter, part, value: Number(row.value), firstAttemptMs: row.first_attempt_at.getTime() }
  }

  async #send(event: Event): Promise<boolean> {
    const { tenantId, day, meter, part, value, firstAttemptMs } = event
    const customer = await findCustomer(this.#pool, tenantId)
    const name = this.#names[meter]
    if (customer === undefined || name === undefined) return false
    const expired = this.#clock.nowMs() - firstAttemptMs > IDENTIFIER_MS
    if (expired && (await this.#hasArrived(event, customer, name))) return false
    await this.#stripe.billing.meterEvents.create({
      event_name: name,
      identifier: `aerodb-${tenantId}-${day}-${meter}-${part}`,
      // Noon of the day: well inside it in every reading of its bounds.
      timestamp: Date.parse(day) / 1_000 + 43_200,
      payload: { stripe_customer_id: customer, value: String(value) },
    })
    return true
  }

  /** Whether the meter's sum of the day already holds this part, on top of those that are known to be sent. */
  async #hasArrived({ tenantId, day, meter, value }: Event, customer: string, name: string): Promise<boolean> {
    const start = Date.parse(day) / 1_000
    const summaries = await this.#stripe.billing.meters.listEventSummaries(await this.#meterId(name), {
      customer,
      start_time: start,
      end_time: start + DAY_MS / 1_000,
    })
    const there = summaries.data.reduce((sum, one) => sum + one.aggregated_value, 0)
    const { rows } = await this.#pool.query<{ sent: string }>(
      `select coalesce(sum(value), 0)::text as sent from metering.stripe_meter_events
       where tenant_id = $1 and day = $2 and meter = $3 and state = 'sent'`,
      [tenantId, day, meter],
    )
    return there >= Number(rows[0]?.sent ?? 0) + value
  }

  async #meterId(name: string): Promise<string> {
    const known = this.#meterIds.get(name)
    if (known !== undefined) return known
    for await (const meter of this.#stripe.billing.meters.list({ limit: 100 }))
      this.#meterIds.set(meter.event_name, meter.id)
    const id = this.#meterIds.get(name)
    if (id === undefined) throw new Error(`Stripe has no meter for the event ${name}`)
    return id
  }

  async #finish({ tenantId, day, meter, part }: Event, error: string | null): Promise<void> {
    await this.#pool.query(
      `update metering.stripe_meter_events set last_error = $5, state = case when $5::text is null then 'sent' else state end
       where tenant_id = $1 and day = $2 and meter = $3 and part = $4`,
      [tenantId, day, meter, part, error],
    )
  }
}
