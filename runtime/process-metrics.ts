import { collectDefaultMetrics, Registry } from 'prom-client'

/** The registry of one process, with what every one of ours measures of itself: processor, memory, event loop, collections. */
export function makeRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
