import type { Clock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import type { DirectoryReader } from '../tenancy/directory-reader.ts'
import type { Exchange, Step } from './exchange.ts'
import { accept } from './resolve-tenant.ts'
import type { TenantEntry } from './tenant-entry.ts'

/** Writes of one tenant that wait in this worker at once. */
const MAX_HELD = 2_000
/** Whatever a snapshot says, by whichever clock: nobody waits for longer. */
const MAX_HOLD_MS = 4_000
/** Announcements wake those who wait; this is for one that was lost. */
const LOOK_MS = 250

type Held = { count: number; wake: Set<() => void> }

/**
 * Writes wait here while their tenant is cut over from one server to another (some tens of milliseconds), then go to where
 * it is. Reads go on. This is what keeps writes from failing and from crowding the database; that none is lost is the
 * database's own doing, which lets no write through meanwhile. The hold ends by itself when its time is over, so a control that
 * dies in the middle holds nobody up.
 */
export function makeHoldWrites(options: {
  directory: DirectoryReader<TenantEntry>
  /** The request goes on with the tenant as it is then, by the same credentials. */
  authenticate: Step
  clock: Clock
}): Step {
  const { directory, authenticate, clock } = options
  const held = new Map<string, Held>()
  directory.onChange((name) => {
    for (const wake of held.get(name)?.wake ?? []) wake()
  })

  function remainingMs(entry: TenantEntry): number {
    return Math.min((entry.snapshot.writes_held_until ?? 0) - clock.nowMs(), MAX_HOLD_MS)
  }

  async function wait(exchange: Exchange, first: TenantEntry): Promise<void> {
    const { name } = first.snapshot
    const here = held.get(name) ?? { count: 0, wake: new Set() }
    if (here.count >= MAX_HELD) throw busy()
    held.set(name, here)
    here.count += 1
    try {
      const deadline = performance.now() + remainingMs(first)
      let entry: TenantEntry | null = first
      while (entry !== null && remainingMs(entry) > 0 && performance.now() < deadline) {
        await nextChange(here, Math.min(deadline - performance.now(), LOOK_MS))
        entry = await directory.load(name).catch(() => entry)
      }
      accept(exchange, entry)
    } finally {
      here.count -= 1
      if (here.count === 0) held.delete(name)
    }
    await authenticate(exchange)
  }

  return function holdWrites(exchange) {
    const { tenant } = exchange
    if (tenant?.snapshot.writes_held_until == null || !mayWrite(exchange.method) || remainingMs(tenant) <= 0)
      return undefined
    return wait(exchange, tenant)
  }
}

function mayWrite(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
}

function nextChange(here: Held, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      here.wake.delete(done)
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    here.wake.add(done)
  })
}

function busy(): Problem {
  return new Problem(503, 'tenant_migrating', {
    detail: 'This tenant is being moved, and too many of its writes wait already; try again shortly.',
    headers: { 'Retry-After': '1' },
  })
}
