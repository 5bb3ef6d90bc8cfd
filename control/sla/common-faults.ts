import type { OutageCause } from './outage-store.ts'

/** So many tenants that are down by one fault prove it, as long as nobody behind it answers. */
const PROOF = 5

type Fault = { tenants: Set<string>; wellMs: number; detail: string }

/**
 * Faults that tenants have in common: a gateway that answers nobody, a server that is dead. Once one is proven the tenants
 * behind it need not be asked one by one: ten thousand time-outs would take longer than the fault may go unseen.
 */
export class CommonFaults {
  readonly #byKey = new Map<string, Fault>()

  /** A tenant was found down. */
  add(tenantId: string, server: string | null, cause: OutageCause, detail: string): void {
    const key = keyOf(cause, server)
    if (key === undefined) return
    const fault = this.#byKey.get(key) ?? { tenants: new Set(), wellMs: Number.NEGATIVE_INFINITY, detail }
    fault.tenants.add(tenantId)
    this.#byKey.set(key, fault)
  }

  /** A tenant was seen well: so are the gateway and its server. */
  clear(tenantId: string, server: string | null, nowMs: number): void {
    this.#remove(tenantId, server, nowMs)
  }

  /** A tenant is not looked at any more. */
  forget(tenantId: string, server: string | null): void {
    this.#remove(tenantId, server)
  }

  /** The proven fault that a tenant lies behind: nobody behind it was seen well in the last `withinMs`. */
  find(server: string | null, nowMs: number, withinMs: number): { cause: OutageCause; detail: string } | undefined {
    for (const cause of ['gateway', 'database'] as const) {
      const key = keyOf(cause, server)
      const fault = key === undefined ? undefined : this.#byKey.get(key)
      if (fault !== undefined && fault.tenants.size >= PROOF && nowMs - fault.wellMs > withinMs)
        return { cause, detail: fault.detail }
    }
    return undefined
  }

  #remove(tenantId: string, server: string | null, wellMs?: number): void {
    for (const cause of ['gateway', 'database'] as const) {
      const key = keyOf(cause, server)
      const fault = key === undefined ? undefined : this.#byKey.get(key)
      if (key === undefined || fault === undefined) continue
      fault.tenants.delete(tenantId)
      if (wellMs !== undefined) fault.wellMs = wellMs
      if (fault.tenants.size === 0) this.#byKey.delete(key)
    }
  }
}

function keyOf(cause: OutageCause, server: string | null): string | undefined {
  if (cause === 'gateway') return 'gateway'
  return cause === 'database' && server !== null ? `database:${server}` : undefined
}
