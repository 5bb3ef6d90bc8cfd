import { z } from 'zod'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { openAlert } from '../stores/alert-store.ts'
import { appendAudit } from '../stores/audit-store.ts'
import { type Change, makeChange, type PublishTouched } from '../stores/change.ts'
import { forgetFacts, listUntoldFacts } from '../stores/compute-store.ts'
import type { MeteringClient } from '../stores/metering-client.ts'
import { listUntoldHistories, markHistoryTold, readPlanHistory } from '../stores/plan-history-store.ts'
import { lockTenant, updateTenant } from '../stores/tenant-store.ts'

/** Tells metering every history that changed. It takes each whole and knows its version, so telling twice is harmless. */
export async function tellPlanHistories(pool: PostgresPool, metering: MeteringClient): Promise<void> {
  for (;;) {
    const untold = await listUntoldHistories(pool, 100)
    for (const tenantId of untold) {
      const history = await readPlanHistory(pool, tenantId)
      if (history === undefined) continue
      await metering.send('PUT', `/internal/v1/tenants/${tenantId}/plan-history`, history)
      await markHistoryTold(pool, tenantId, history.version)
    }
    if (untold.length < 100) return
  }
}

const COMPUTE_PRODUCER = 'control-compute'
const FACTS_AT_ONCE = 500
const markSchema = z.object({ mark: z.number() })

/** Tells metering for how long tenants' own servers ran. Its mark says what it has counted: told twice, counted once. */
export async function tellComputeFacts(pool: PostgresPool, metering: MeteringClient): Promise<void> {
  for (;;) {
    const untold = await listUntoldFacts(pool, FACTS_AT_ONCE)
    const [first] = untold
    if (first === undefined) return
    const { body } = await metering.send('POST', '/internal/v1/compute-facts', {
      producer: COMPUTE_PRODUCER,
      first_sequence: first.sequence,
      facts: untold.map((fact) => ({
        tenant_id: fact.tenantId,
        ended_at_ms: fact.endedAtMs,
        ran_ms: fact.ranMs,
      })),
    })
    const { mark } = markSchema.parse(body)
    await forgetFacts(pool, mark)
    if (untold.length < FACTS_AT_ONCE || mark < first.sequence) return
  }
}

const eventsSchema = z.object({
  data: z.array(
    z.object({
      event_id: z.number(),
      tenant_id: z.string(),
      month: z.string(),
      kind: z.enum(['alert', 'cap']),
      amount_micros: z.number(),
      total_micros: z.number(),
    }),
  ),
})
type SpendEvent = z.output<typeof eventsSchema>['data'][number]
const STREAM = 'spend-events'

/**
 * Follows what metering says of spending: a limit that was reached is an alert; a cap stops the tenant (its owner set it so).
 * The position moves in the transaction that acts, so each event is acted on once.
 */
export async function followSpendEvents(
  pool: PostgresPool,
  publish: PublishTouched,
  metering: MeteringClient,
): Promise<void> {
  for (;;) {
    const position = await pool.query<{ position: number }>(
      'select position from control.reading_positions where name = $1',
      [STREAM],
    )
    const after = position.rows[0]?.position ?? 0
    const answer = await metering.send('GET', `/internal/v1/spend-events?after=${after}&limit=200`)
    const { data } = eventsSchema.parse(answer.body)
    for (const event of data) await makeChange(pool, publish, (change) => act(change, event))
    if (data.length < 200) return
  }
}

async function act(change: Change, event: SpendEvent): Promise<void> {
  const moved = await change.tx.query(
    `insert into control.reading_positions as known (name, position) values ($1, $2)
     on conflict (name) do update set position = excluded.position where known.position < excluded.position`,
    [STREAM, event.event_id],
  )
  if (moved.rowCount === 0) return
  const tenant = await lockTenant(change, event.tenant_id)
  if (tenant === undefined) return
  const isCap = event.kind === 'cap'
  await openAlert(change, {
    fingerprint: `spend:${event.kind}:${event.tenant_id}:${event.month}:${event.amount_micros}`,
    kind: isCap ? 'spend_cap_reached' : 'spend_alert',
    severity: isCap ? 'warning' : 'info',
    tenantId: event.tenant_id,
    detail: `${tenant.name} has spent ${event.total_micros / 1e6} in ${event.month}; its limit is ${event.amount_micros / 1e6}.`,
  })
  if (!isCap || tenant.status !== 'active') return
  await updateTenant(change, event.tenant_id, { status: 'suspended' })
  await appendAudit(
    change,
    { actor: 'system:spend-cap', address: null, requestId: null },
    {
      action: 'tenant.update',
      target: event.tenant_id,
      before: { status: 'active' },
      after: { status: 'suspended' },
    },
  )
}
