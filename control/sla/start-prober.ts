import type { Clock } from '../../runtime/clock.ts'
import type { Lifecycle } from '../../runtime/lifecycle.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { parseTenantSignals, SIGNALS_CHANNEL } from '../../tenancy/tenant-signals.ts'
import { makeProbe } from './probe.ts'
import { Prober } from './prober.ts'
import type { SlaMetrics } from './sla-metrics.ts'

export type ProberConfig = {
  AERODB_DOMAIN: string
  AERODB_REDIS_URL: readonly string[]
  AERODB_PROBE_URLS: readonly string[]
  AERODB_PROBE_INTERVAL_MS: number
  AERODB_PROBE_TIMEOUT_MS: number
}

/** Starts to look after tenants, and to listen to what gateways tell of them. With Redis away all are looked at. */
export function startProber(
  config: ProberConfig,
  parts: {
    proberId: string
    pool: PostgresPool
    clock: Clock
    log: Logger
    lifecycle: Pick<Lifecycle, 'onStop'>
    metrics: SlaMetrics
  },
): Prober {
  const { pool, clock, log, lifecycle, metrics, proberId } = parts
  const { probe, close } = makeProbe({
    urls: config.AERODB_PROBE_URLS,
    domain: config.AERODB_DOMAIN,
    timeoutMs: config.AERODB_PROBE_TIMEOUT_MS,
  })
  lifecycle.onStop('probe connections', close)
  const prober = new Prober({
    proberId,
    pool,
    probe,
    clock,
    log,
    intervalMs: config.AERODB_PROBE_INTERVAL_MS,
    onLook: (kind) => metrics.looked(kind),
    onPassedOver: () => metrics.passedOver(),
  })
  metrics.follow(prober)
  prober.start()
  lifecycle.onStop('prober', () => prober.stop())
  const subscriber = connectRedis({
    urls: config.AERODB_REDIS_URL,
    connectionName: 'aerodb-control-signals',
    log,
    whenAway: 'wait',
  })
  lifecycle.onStop('signals', () => subscriber.disconnect())
  subscriber.on('message', (channel: string, message: string) => {
    if (channel !== SIGNALS_CHANNEL) return
    try {
      prober.hear(parseTenantSignals(message))
    } catch (fault) {
      log.debug({ err: fault }, 'a gateway told something that is not understood')
    }
  })
  subscriber.subscribe(SIGNALS_CHANNEL).catch((fault: Error) => log.debug({ err: fault }, 'not listening to gateways'))
  return prober
}
