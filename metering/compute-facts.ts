import { z } from 'zod'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { recordBatch } from './ledger-store.ts'
import { encodeRecord } from './record-codec.ts'
import type { StreamEntry } from './stream.ts'

/** What control tells of servers that ran: facts in its own sequence, which has no holes. */
export const computeFactsSchema = z.strictObject({
  producer: z.string().min(1).max(64),
  first_sequence: z.number().int().positive(),
  facts: z
    .array(
      z.strictObject({
        tenant_id: z.string().min(1).max(64),
        ended_at_ms: z.number().int().nonnegative(),
        ran_ms: z.number().int().nonnegative(),
      }),
    )
    .min(1)
    .max(1_000),
})
export type ComputeFacts = z.output<typeof computeFactsSchema>

/**
 * Counts running time as whatever comes through the stream is counted: by the producer's mark, so each fact once however often
 * it is told. Facts that were told to a ledger that a backup has replaced leave a `hole`.
 * @returns the mark: everything up to it is counted, and need not be told again.
 */
export async function recordComputeFacts(
  pool: PostgresPool,
  { producer, first_sequence, facts }: ComputeFacts,
  nowMs: number,
): Promise<number> {
  const records: StreamEntry = {
    kind: 'records',
    producer,
    firstSequence: first_sequence,
    count: facts.length,
    payload: Buffer.from(
      facts
        .map(({ tenant_id: tenantId, ended_at_ms: completedAtMs, ran_ms: ranMs }) =>
          encodeRecord({ kind: 'compute', tenantId, completedAtMs, ranMs }),
        )
        .join('\n'),
    ),
  }
  const client = await pool.connect()
  try {
    const { marks, refused } = await recordBatch(client, [records], nowMs)
    const gap = refused[0]
    if (gap === undefined) return marks.get(producer) ?? 0
    const hole = { ...records, kind: 'hole', firstSequence: gap.expected, payload: Buffer.alloc(0) } as const
    const again = await recordBatch(client, [{ ...hole, count: first_sequence - gap.expected }, records], nowMs)
    return again.marks.get(producer) ?? 0
  } finally {
    client.release()
  }
}
