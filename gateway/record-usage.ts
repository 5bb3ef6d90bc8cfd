import type { UsageWriter } from '../metering/contract.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Exchange } from './exchange.ts'
import type { Outcome } from './relay.ts'

/** Step 7: records an admitted request; `done`, which lets the last byte leave, is called once the record is safe. */
export function makeRecordUsage(usage: UsageWriter, clock: Clock) {
  return function recordUsage(exchange: Exchange, outcome: Outcome, done: () => void): void {
    const { tenant } = exchange
    if (!exchange.admitted || tenant === undefined) {
      done()
      return
    }
    usage.append(
      {
        kind: 'request',
        tenantId: tenant.snapshot.tenant_id,
        completedAtMs: clock.nowMs(),
        method: KNOWN_METHODS.has(exchange.method) ? exchange.method : 'OTHER',
        endpoint: tenant.endpoints.of(exchange.path),
        status: outcome.status,
        egressBytes: outcome.egressBytes,
        ingressBytes: outcome.ingressBytes,
        durationUs: Math.round((clock.monotonicMs() - exchange.startedMs) * 1000),
      },
      done,
    )
  }
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
