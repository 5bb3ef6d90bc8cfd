import { Problem } from '../runtime/problem.ts'
import type { DirectoryReader } from '../tenancy/directory-reader.ts'
import type { Exchange } from './exchange.ts'
import type { TenantEntry } from './tenant-entry.ts'

/** Seconds after which a client may ask again for a tenant that will serve soon. */
const RETRY_AFTER = { provisioning: '1', migrating: '1' } as const

/** Step 1: the tenant of the request's host, from the worker's cache; only a miss waits. */
export function makeResolveTenant(directory: DirectoryReader<TenantEntry>) {
  return function resolveTenant(exchange: Exchange): Promise<void> | undefined {
    const target = exchange.hostTarget
    if (target.kind !== 'tenant') throw unknownHost()
    const entry = directory.peek(target.name)
    if (entry !== undefined) {
      accept(exchange, entry)
      return undefined
    }
    return directory.load(target.name).then(
      (loaded) => accept(exchange, loaded),
      (fault: unknown) => {
        throw new Problem(503, 'directory_unavailable', {
          detail: 'This host cannot be looked up at the moment.',
          headers: { 'Retry-After': '1' },
          cause: fault,
        })
      },
    )
  }
}

function accept(exchange: Exchange, entry: TenantEntry | null): void {
  if (entry === null) throw unknownHost()
  exchange.tenant = entry
  const { status } = entry.snapshot
  // A paused tenant is woken by the request, once it has shown its key: see wake-tenant.ts.
  if (status === 'active' || status === 'paused') return
  switch (status) {
    case 'suspended':
      throw new Problem(403, 'tenant_suspended', { detail: 'This tenant is suspended.' })
    case 'provisioning':
    case 'migrating':
      throw new Problem(503, `tenant_${status}`, {
        detail: `This tenant is ${status}; try again shortly.`,
        headers: { 'Retry-After': RETRY_AFTER[status] },
      })
    case 'failed':
      throw new Problem(503, 'tenant_failed', {
        detail: 'This tenant could not be provisioned.',
        headers: { 'Retry-After': '60' },
      })
    default:
      throw unknownHost()
  }
}

export function unknownHost(): Problem {
  return new Problem(404, 'unknown_host', { detail: 'Nothing is served at this host.' })
}
