import { Problem } from '../runtime/problem.ts'
import type { DirectoryReader } from '../tenancy/directory-reader.ts'
import type { Exchange } from './exchange.ts'
import type { TenantEntry } from './tenant-entry.ts'

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

/** Takes the tenant for the request, if it serves. @throws Problem for one that does not. */
export function accept(exchange: Exchange, entry: TenantEntry | null): void {
  if (entry === null) throw unknownHost()
  exchange.tenant = entry
  const { status } = entry.snapshot
  // A paused tenant is woken by the request, once it has shown its key: see wake-tenant.ts.
  // One that is being moved serves all the while: see hold-writes.ts.
  if (status === 'active' || status === 'paused' || status === 'migrating') return
  switch (status) {
    case 'suspended':
      throw new Problem(403, 'tenant_suspended', { detail: 'This tenant is suspended.' })
    case 'provisioning':
      throw new Problem(503, 'tenant_provisioning', {
        detail: 'This tenant is provisioning; try again shortly.',
        headers: { 'Retry-After': '1' },
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
