import type { MetricObject } from 'prom-client'

/** From the primary to a worker. A connection's socket travels beside its message. */
export type ToWorker = { type: 'connection' } | { type: 'collect-metrics'; id: number }

/** From a worker to the primary; `ready` comes from the lifecycle. */
export type FromWorker = { type: 'ready' } | { type: 'metrics'; id: number; metrics: MetricObject[] }
