import { Cluster, Redis } from 'ioredis'
import type { Logger } from './log.ts'

/**
 * One Redis or a Redis Cluster, which take the same commands; keys that are used together carry the same hash tag. It is
 * typed as one `Redis`, because overloads cannot be called on a union of the two.
 */
export type RedisClient = Redis

export type RedisClientOptions = {
  /** One `redis://` URL, or several for the nodes of a cluster. */
  urls: readonly string[]
  connectionName: string
  log: Logger
  /**
   * What a command does while Redis is away: `fail-fast` rejects at once (hot paths, which have a policy for it);
   * `wait` queues it until Redis is back (loops that have nothing better to do).
   */
  whenAway: 'fail-fast' | 'wait'
  commandTimeoutMs?: number
}

/** Connects to Redis; reconnects for ever with a back-off of at most one second, and logs each change once. */
export function connectRedis(options: RedisClientOptions): RedisClient {
  const failFast = options.whenAway === 'fail-fast'
  const common = {
    connectionName: options.connectionName,
    enableOfflineQueue: !failFast,
    maxRetriesPerRequest: failFast ? 0 : null,
    enableAutoPipelining: false,
    connectTimeout: 2_000,
    ...(options.commandTimeoutMs === undefined ? {} : { commandTimeout: options.commandTimeoutMs }),
  }
  const backOff = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000)
  const [first] = options.urls
  if (first === undefined) throw new Error('connectRedis needs at least one URL')
  const client: RedisClient =
    options.urls.length === 1
      ? new Redis(first, { ...common, retryStrategy: backOff })
      : (new Cluster([...options.urls], {
          redisOptions: common,
          clusterRetryStrategy: backOff,
          enableOfflineQueue: !failFast,
        }) as unknown as Redis)
  let away = false
  client.on('error', (fault: Error) => {
    if (!away) options.log.warn({ err: fault }, 'Redis is away')
    away = true
  })
  client.on('ready', () => {
    if (away) options.log.info('Redis is back')
    away = false
  })
  return client
}

/** Resolves when the client has a usable connection; rejects after `timeoutMs`. */
export async function whenRedisReady(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === 'ready') return
  await new Promise<void>((resolve, reject) => {
    const onReady = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      client.off('ready', onReady)
      reject(new Error(`Redis did not answer within ${timeoutMs} ms`))
    }, timeoutMs)
    client.once('ready', onReady)
  })
}
