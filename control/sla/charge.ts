import { createHash } from 'node:crypto'
import { QUORUM } from './outage-store.ts'

/**
 * Which of the living probers look after a tenant, in order: the two with the highest draw (rendezvous hashing), so that a
 * prober that comes or goes moves only its own share, and no two need to talk about it.
 */
export function proberRank(tenantId: string, proberId: string, living: readonly string[]): number | undefined {
  const own = draw(tenantId, proberId)
  let rank = 0
  for (const other of living) {
    if (other === proberId) continue
    const drawn = draw(tenantId, other)
    if (drawn > own || (drawn === own && other > proberId)) rank++
    if (rank >= QUORUM) return undefined
  }
  return rank
}

/** Where in a round a tenant has its turn, 0 to below 1: evenly spread, and the same in every process. */
export function phaseOf(tenantId: string): number {
  return draw(tenantId, 'phase') / 2 ** 32
}

function draw(tenantId: string, by: string): number {
  return createHash('sha1').update(`${tenantId} ${by}`).digest().readUInt32BE(0)
}
