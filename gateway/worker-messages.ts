import type { MetricObject } from 'prom-client'

/** From the primary to a worker. A connection's socket travels beside its message. */
export type ToWorker =
  | { type: 'connection'; id: number; isTls: boolean }
  | { type: 'collect-metrics'; id: number }
  /** Workers that died: their leases need not be waited for. */
  | { type: 'dead-processes'; processes: readonly string[] }

/** From a worker to the primary; `ready` comes from the lifecycle. */
export type FromWorker =
  | { type: 'ready' }
  /** The connection with this id has arrived; before a byte of it is read. */
  | { type: 'taken'; id: number }
  /** It drains: it wants no more connections. */
  | { type: 'leaving' }
  | { type: 'metrics'; id: number; metrics: MetricObject[] }

/** The name under which a worker holds leases in Redis: unique over gateways and their lives. */
export function processName(gatewayId: string, pid: number): string {
  return `${gatewayId}:${pid}`
}

/** The environment variable by which a worker learns its gateway's id. */
export const GATEWAY_ID_VARIABLE = 'AERODB_GATEWAY_ID'
