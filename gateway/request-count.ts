import { Pool } from 'undici'
import type { Clock } from '../runtime/clock.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../runtime/service-token.ts'
import type { RequestCountSource } from './leased-quota-keeper.ts'

const TIMEOUT_MS = 3_000

/** Asks metering for a tenant's request count of a month, as the ledger has it. */
export function makeRequestCountSource(
  meteringUrl: string,
  tokens: ServiceTokenCodec,
  clock: Clock,
): RequestCountSource {
  // Ten thousand tenants may lose their counters at once: the ledger is asked a few at a time.
  const pool = new Pool(new URL(meteringUrl).origin, { connections: 8, connectTimeout: TIMEOUT_MS })
  return async (tenantId, month) => {
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path: `/internal/v1/tenants/${encodeURIComponent(tenantId)}/request-count?month=${month}`,
      headers: { [SERVICE_TOKEN_HEADER]: tokens.sign('gateway', clock.nowMs()) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    })
    // Undici tells a destroyed body of its own abort; without a listener that would end the process.
    body.on('error', () => {})
    if (statusCode !== 200) {
      body.destroy()
      throw new Error(`Metering answered ${statusCode}`)
    }
    const answer = (await body.json()) as { count?: unknown }
    if (typeof answer.count !== 'number') throw new Error('Metering answered without a count')
    return answer.count
  }
}
