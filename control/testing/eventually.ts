import { vi } from 'vitest'

/** Waits until `check` passes: long enough for a machine that does other things as well. */
export function eventually<Result>(check: () => Promise<Result> | Result, timeoutMs = 25_000): Promise<Result> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 50 })
}
