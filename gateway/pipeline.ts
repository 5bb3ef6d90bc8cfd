import type { Exchange, Step } from './exchange.ts'

/**
 * Runs the steps in order as plain calls. A step that has its answer in cache or lease returns at once, and so does the
 * whole run; only a step that returns a promise makes the rest wait. A fault of any step goes to `refuse`.
 */
export function makePipeline(steps: readonly Step[], refuse: (exchange: Exchange, fault: unknown) => void) {
  function runFrom(exchange: Exchange, index: number): void {
    try {
      for (let i = index; i < steps.length; i++) {
        const waiting = steps[i]?.(exchange)
        if (waiting === undefined) continue
        waiting.then(
          () => {
            // A client that went away meanwhile is asked nothing more; nothing was admitted for it yet.
            if (!exchange.response.destroyed) runFrom(exchange, i + 1)
          },
          (fault: unknown) => refuse(exchange, fault),
        )
        return
      }
    } catch (fault) {
      refuse(exchange, fault)
    }
  }
  return (exchange: Exchange): void => runFrom(exchange, 0)
}
