import type { Queryable } from './change.ts'

/** Server-milliseconds that a tenant's own servers ran, up to a moment; never across a UTC hour. */
export type ComputeFact = { tenantId: string; endedAtMs: number; ranMs: number }

/** Holds the sequence until the transaction ends: one measures at a time, so no time is measured twice. */
export async function lockComputeSequence(tx: Queryable): Promise<number> {
  const { rows } = await tx.query<{ last: string | number }>('select last from control.compute_counter for update')
  return Number(rows[0]?.last ?? 0)
}

/** Up to when each of these tenants was measured. */
export async function readMeasures(tx: Queryable, tenantIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ tenant_id: string; measured_until: Date }>(
    'select tenant_id, measured_until from control.compute_measures where tenant_id = any($1)',
    [tenantIds],
  )
  return new Map(rows.map((row) => [row.tenant_id, row.measured_until.getTime()]))
}

/** Keeps facts under the numbers after `last`, and up to when their tenants are now measured. */
export async function keepComputeFacts(tx: Queryable, last: number, facts: readonly ComputeFact[]): Promise<void> {
  if (facts.length === 0) return
  await tx.query(
    `insert into control.compute_facts (sequence, tenant_id, ended_at, ran_ms)
     select $1 + place, tenant_id, to_timestamp(ended_ms / 1000.0), ran_ms
     from unnest($2::text[], $3::float8[], $4::bigint[]) with ordinality as r(tenant_id, ended_ms, ran_ms, place)`,
    [last, facts.map((one) => one.tenantId), facts.map((one) => one.endedAtMs), facts.map((one) => one.ranMs)],
  )
  await tx.query(
    `insert into control.compute_measures (tenant_id, measured_until)
     select tenant_id, to_timestamp(max(ended_ms) / 1000.0) from unnest($1::text[], $2::float8[]) as r(tenant_id, ended_ms)
     group by 1
     on conflict (tenant_id) do update set measured_until = excluded.measured_until`,
    [facts.map((one) => one.tenantId), facts.map((one) => one.endedAtMs)],
  )
  await tx.query('update control.compute_counter set last = $1', [last + facts.length])
}

/** The oldest facts that metering was not told of. */
export async function listUntoldFacts(db: Queryable, limit: number): Promise<(ComputeFact & { sequence: number })[]> {
  const { rows } = await db.query<{
    sequence: string | number
    tenant_id: string
    ended_at: Date
    ran_ms: string | number
  }>('select sequence, tenant_id, ended_at, ran_ms from control.compute_facts order by sequence limit $1', [limit])
  return rows.map((row) => ({
    sequence: Number(row.sequence),
    tenantId: row.tenant_id,
    endedAtMs: row.ended_at.getTime(),
    ranMs: Number(row.ran_ms),
  }))
}

/** Forgets what metering has counted. */
export async function forgetFacts(db: Queryable, through: number): Promise<void> {
  await db.query('delete from control.compute_facts where sequence <= $1', [through])
}
