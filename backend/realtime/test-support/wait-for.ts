import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves with what `probe` gives once it is neither `undefined` nor false; fails after `timeoutMs`. */
export async function waitFor<Value>(
  probe: () => Value | undefined | false | Promise<Value | undefined | false>,
  timeoutMs = 10_000,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${probe.toString()}`)
    await sleep(10)
  }
}
