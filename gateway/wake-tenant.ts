import { Pool } from 'undici'
import type { Clock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../runtime/service-token.ts'
import type { Exchange } from './exchange.ts'

/** Asks control to start a paused tenant's server; resolves with whether the tenant serves now. */
export type TenantWaker = (tenantId: string) => Promise<boolean>

const TIMEOUT_MS = 20_000

/** A waker by control's internal API; requests for one tenant at once share one call. */
export function makeTenantWaker(controlUrl: string, tokens: ServiceTokenCodec, clock: Clock): TenantWaker {
  const pool = new Pool(new URL(controlUrl).origin, { connections: 8, connectTimeout: 3_000 })
  const underWay = new Map<string, Promise<boolean>>()
  const ask = async (tenantId: string): Promise<boolean> => {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: `/internal/v1/tenants/${encodeURIComponent(tenantId)}/wake`,
      headers: { [SERVICE_TOKEN_HEADER]: tokens.sign('gateway', clock.nowMs()) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    })
    body.on('error', () => {})
    if (statusCode !== 200) {
      body.destroy()
      return false
    }
    return ((await body.json()) as { status?: unknown }).status === 'active'
  }
  return (tenantId) => {
    let waking = underWay.get(tenantId)
    if (waking === undefined) {
      waking = ask(tenantId).finally(() => underWay.delete(tenantId))
      underWay.set(tenantId, waking)
    }
    return waking
  }
}

/** A request for a paused tenant waits while its server starts. It comes after authentication: strangers wake nobody. */
export function makeWakeTenant(wake: TenantWaker) {
  return function wakeTenant(exchange: Exchange): Promise<void> | undefined {
    const { tenant } = exchange
    if (tenant?.snapshot.status !== 'paused') return undefined
    return wake(tenant.snapshot.tenant_id).then(
      (isActive) => {
        if (!isActive) throw paused()
      },
      (fault: unknown) => {
        throw paused(fault)
      },
    )
  }
}

/** Refuses what does not wake a tenant. */
export function refusePaused(exchange: Exchange): undefined {
  if (exchange.tenant?.snapshot.status === 'paused') throw paused()
  return undefined
}

function paused(cause?: unknown): Problem {
  return new Problem(503, 'tenant_paused', {
    detail: 'This tenant is paused; try again shortly.',
    headers: { 'Retry-After': '1' },
    cause,
  })
}
