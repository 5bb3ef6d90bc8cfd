import { setTimeout as sleep } from 'node:timers/promises'
import type { PlatformClient } from './platform-client.ts'

const POLL_MS = 500
/** A request is in the usage within 5 s (contract 6): a count that stood still for longer than that is final. */
const STILL_MS = 6_000

/** Waits until the counted requests of a tenant stand still, and gives their number. */
export async function countWhenSettled(client: PlatformClient, tenantId: string, timeoutMs = 60_000): Promise<number> {
  const deadline = performance.now() + timeoutMs
  let count = await client.countRequests(tenantId)
  let changedAt = performance.now()
  while (performance.now() - changedAt < STILL_MS && performance.now() < deadline) {
    await sleep(POLL_MS)
    const next = await client.countRequests(tenantId)
    if (next !== count) changedAt = performance.now()
    count = next
  }
  return count
}
