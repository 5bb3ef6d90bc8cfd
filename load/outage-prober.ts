import { setTimeout as sleep } from 'node:timers/promises'
import { COLLECTION, type LoadTenant } from './load-tenants.ts'
import type { PlatformClient } from './platform-client.ts'

const EVERY_MS = 50
/** A probe without an answer for that long counts as failed; the client gives up on it. */
const PROBE_TIMEOUT_MS = 2_000

export type OutageProber = {
  /** From `sinceMs` (monotonic): for how long probes failed before the first good one. */
  outageMs(sinceMs: number, untilMs: number): number
  stop(): Promise<void>
}

/** Reads one row of a tenant, again and again, as a client that wants to know when the service is back. */
export function startOutageProber(client: PlatformClient, tenant: LoadTenant): OutageProber {
  const probes: { startedMs: number; endedMs: number; ok: boolean }[] = []
  let isOver = false
  const probe = async () => {
    const startedMs = performance.now()
    const answer = client
      .call(tenant.name, `/rest/v1/${COLLECTION}?limit=1`, { key: tenant.key })
      .then(({ status }) => status === 200)
      .catch(() => false)
    const ok = await Promise.race([answer, sleep(PROBE_TIMEOUT_MS, false)])
    probes.push({ startedMs, endedMs: performance.now(), ok })
  }
  const running = (async () => {
    while (!isOver) {
      await probe()
      await sleep(EVERY_MS)
    }
  })()
  return {
    outageMs(sinceMs, untilMs) {
      const after = probes.filter((one) => one.endedMs > sinceMs && one.startedMs < untilMs)
      const firstFailed = after.find((one) => !one.ok)
      if (firstFailed === undefined) return 0
      const lastFailed = after.findLast((one) => !one.ok) ?? firstFailed
      const back = probes.find((one) => one.ok && one.startedMs >= lastFailed.endedMs)
      return (back?.endedMs ?? performance.now()) - Math.max(sinceMs, firstFailed.startedMs)
    },
    async stop() {
      isOver = true
      await running
    },
  }
}
