import { Agent, type Dispatcher, Pool } from 'undici'
import type { OutageCause } from './outage-store.ts'

/** What one look at a tenant found. `unclear`: it is not to be served just now, which says nothing of its health. */
export type Finding = { kind: 'up' } | { kind: 'unclear' } | { kind: 'down'; cause: OutageCause; detail: string }

/** Looks at a tenant by its host. With `isFresh` over a connection of its own. It never throws. */
export type Probe = (tenant: { name: string; isRegistered: boolean }, options: { isFresh: boolean }) => Promise<Finding>

const MAX_CONNECTIONS = 64
const MAX_BODY_BYTES = 4_096
/** Codes of ours that tell of a tenant that rests or is on its way, which is no outage. */
const AT_REST: ReadonlySet<string> = new Set([
  'tenant_paused',
  'tenant_provisioning',
  'tenant_migrating',
  'tenant_suspended',
  'tenant_failed',
])

/**
 * A probe through the gateways at `urls`, as a client comes: `GET /health` with the tenant's host. A tenant answers when any
 * of the gateways answers for it; a look begins at another gateway each time.
 */
export function makeProbe(options: { urls: readonly string[]; domain: string; timeoutMs: number }): {
  probe: Probe
  close: () => Promise<void>
} {
  const { urls, domain, timeoutMs } = options
  const limits = {
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  }
  const pools = urls.map((url) => new Pool(new URL(url).origin, { ...limits, connections: MAX_CONNECTIONS }))
  const fresh = new Agent({ ...limits, keepAliveTimeout: 1, pipelining: 0 })
  let turn = 0

  const ask = async (at: number, host: string, isRegistered: boolean, isFresh: boolean): Promise<Finding> => {
    try {
      const request = {
        method: 'GET',
        path: '/health',
        headers: { host, 'user-agent': 'AeroDB-Prober/1.0' },
        // Of the whole look: a connection that waits in the pool's queue counts as well.
        signal: AbortSignal.timeout(timeoutMs),
      } as const
      const origin = new URL(urls[at] ?? '').origin
      const pool = pools[at]
      const { statusCode, body } =
        isFresh || pool === undefined ? await fresh.request({ ...request, origin }) : await pool.request(request)
      return readFinding(statusCode, await readStart(body), isRegistered)
    } catch (fault) {
      const code = (fault as NodeJS.ErrnoException).code ?? (fault as Error).name
      return { kind: 'down', cause: 'gateway', detail: `The gateway did not answer (${code}).` }
    }
  }

  return {
    probe: async ({ name, isRegistered }, { isFresh }) => {
      const first = turn++
      let found: Finding = { kind: 'unclear' }
      for (let i = 0; i < urls.length; i++) {
        found = await ask((first + i) % urls.length, `${name}.${domain}`, isRegistered, isFresh)
        if (found.kind !== 'down') return found
      }
      return found
    },
    close: async () => {
      await Promise.all([...pools.map((pool) => pool.destroy()), fresh.destroy()])
    },
  }
}

/** What an answer to `GET /health` tells. A registered upstream need not know that address: any answer of it will do. */
export function readFinding(status: number, body: string, isRegistered: boolean): Finding {
  if (status >= 200 && status < 300) return { kind: 'up' }
  const { code, checks } = readBody(body)
  if (code !== undefined && AT_REST.has(code)) return { kind: 'unclear' }
  if (code === 'unknown_host' || code === 'directory_unavailable')
    return { kind: 'down', cause: 'directory', detail: 'The gateway does not know the tenant.' }
  if (code === 'overloaded') return { kind: 'down', cause: 'overload', detail: 'The gateway has no room for it.' }
  if (status < 500 && isRegistered) return { kind: 'up' }
  if (checks?.database !== undefined && checks.database !== 'ok')
    return { kind: 'down', cause: 'database', detail: 'The database does not answer.' }
  if (code?.startsWith('database_') === true)
    return { kind: 'down', cause: 'database', detail: `The database does not answer (${code}).` }
  if (status === 502 || status === 503 || status === 504)
    return { kind: 'down', cause: 'backend', detail: `The backend does not answer (${code ?? status}).` }
  return {
    kind: 'down',
    cause: 'other',
    detail: `The health check answered ${status}${code === undefined ? '' : ` ${code}`}.`,
  }
}

function readBody(text: string): { code?: string; checks?: { database?: unknown } } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return {}
    const { code, checks } = value as { code?: unknown; checks?: unknown }
    return {
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof checks === 'object' && checks !== null ? { checks } : {}),
    }
  } catch {
    return {}
  }
}

async function readStart(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = ''
  body.setEncoding('utf8')
  for await (const chunk of body) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) break
  }
  return text
}
