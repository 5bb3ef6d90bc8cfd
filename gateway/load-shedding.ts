import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'

/** However many tenants are active, each may have so many requests under way. */
const ALWAYS_ALLOWED = 8

/**
 * Keeps the requests under way in this worker bounded, and shares the room fairly: while there is plenty every tenant takes
 * what it wants; when it gets scarce, a tenant with more than its share is refused (503), so that queues stay short and a
 * noisy tenant is slowed by itself and not by the others.
 */
export class LoadShedding {
  readonly #max: number
  readonly #scarceFrom: number
  readonly #byTenant = new Map<string, number>()
  #all = 0

  /** @param max requests under way at most; from half of it on room is scarce. */
  constructor(max: number) {
    this.#max = max
    this.#scarceFrom = Math.ceil(max / 2)
  }

  get underWay(): number {
    return this.#all
  }

  /** Counts a request in. @throws Problem 503 when there is no room for it. */
  enter(tenantId: string): void {
    const own = this.#byTenant.get(tenantId) ?? 0
    if (this.#all >= this.#scarceFrom) {
      const share = Math.max(ALWAYS_ALLOWED, Math.floor(this.#max / (this.#byTenant.size + (own === 0 ? 1 : 0))))
      // Alone a tenant may fill all; beside others it leaves them a quarter.
      const most = this.#byTenant.size > 1 || own === 0 ? Math.min(share, Math.floor(this.#max * 0.75)) : this.#max
      if (own >= most || this.#all >= this.#max * 1.25) throw overloaded()
    }
    this.#all++
    this.#byTenant.set(tenantId, own + 1)
  }

  leave(tenantId: string): void {
    this.#all--
    const own = (this.#byTenant.get(tenantId) ?? 1) - 1
    if (own > 0) this.#byTenant.set(tenantId, own)
    else this.#byTenant.delete(tenantId)
  }
}

/** Before the limits, so that a request which is shed costs the tenant nothing. */
export function makeShedLoad(shedding: LoadShedding) {
  return function shedLoad(exchange: Exchange): undefined {
    const tenantId = exchange.tenant?.snapshot.tenant_id
    if (tenantId === undefined) return
    shedding.enter(tenantId)
    exchange.response.once('close', () => shedding.leave(tenantId))
  }
}

function overloaded(): Problem {
  return new Problem(503, 'overloaded', {
    detail: 'Too many requests are under way; try again shortly.',
    headers: { 'Retry-After': '1' },
  })
}
