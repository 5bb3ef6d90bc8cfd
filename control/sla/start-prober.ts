import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../runtime/clock.ts'
import type { Lifecycle } from '../../runtime/lifecycle.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { parseTenantSignals, SIGNALS_CHANNEL } from '../../tenancy/tenant-signals.ts'
import { makeProbe, type Probe } from './probe.ts'
import { Prober } from './prober.ts'
import type { SlaMetrics } from './sla-metrics.ts'

export type ProberConfig = {
  AERODB_DOMAIN: string
  AERODB_REDIS_URL: readonly string[]
  AERODB_PROBE_URLS: readonly string[]
  AERODB_PROBE_INTERVAL_MS: number
  AERODB_PROBE_TIMEOUT_MS: number
}

/** Control begins to serve before the gateways in front of it do: for so long their silence is no tenant's outage. */
const GATEWAY_PATIENCE_MS = 15_000
const GATEWAY_RETRY_MS = 100

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
  const stopping = new AbortController()
  const begun = whenGatewaysAnswer(probe, stopping.signal).then(() => {
    if (!stopping.signal.aborted) prober.start()
  })
  lifecycle.onStop('prober', async () => {
    stopping.abort()
    await begun
    await prober.stop()
  })
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

/** Resolves when a gateway answers for the platform's own host, or when that has taken too long to be a start. */
async function whenGatewaysAnswer(probe: Probe, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + GATEWAY_PATIENCE_MS
  while (!signal.aborted && performance.now() < deadlineMs) {
    const finding = await probe({ name: 'control', isRegistered: true }, { isFresh: true })
    if (finding.kind !== 'down' || finding.cause !== 'gateway') return
    await sleep(GATEWAY_RETRY_MS, undefined, { signal }).catch(() => {})
  }
}
