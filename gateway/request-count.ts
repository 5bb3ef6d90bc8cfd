import { request } from 'undici'
import type { Clock } from '../runtime/clock.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../runtime/service-token.ts'
import type { RequestCountSource } from './quota-counter.ts'

const TIMEOUT_MS = 3_000

/** Asks metering for a tenant's request count of a month, as the ledger has it. */
export function makeRequestCountSource(
  meteringUrl: string,
  tokens: ServiceTokenCodec,
  clock: Clock,
): RequestCountSource {
  return async (tenantId, month) => {
    const url = new URL(`/internal/v1/tenants/${encodeURIComponent(tenantId)}/request-count`, meteringUrl)
    url.searchParams.set('month', month)
    const { statusCode, body } = await request(url, {
      headers: { [SERVICE_TOKEN_HEADER]: tokens.sign('gateway', clock.nowMs()) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    })
    if (statusCode !== 200) {
      body.destroy()
      throw new Error(`Metering answered ${statusCode}`)
    }
    const answer = (await body.json()) as { count?: unknown }
    if (typeof answer.count !== 'number') throw new Error('Metering answered without a count')
    return answer.count
  }
}
