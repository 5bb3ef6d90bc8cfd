import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Logger } from './log.ts'

/**
 * One Redis or a Redis Cluster, which take the same commands; keys that are used together carry the same hash tag. It is
 * typed as one `Redis`, because overloads cannot be called on a union of the two.
 */
export type RedisClient = Redis

export type RedisClientOptions = {
  /** One `redis://` URL, or several for the nodes of a cluster; credentials and TLS are the first one's. */
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

/** A cluster's node that is gone is asked again after this, `CLUSTER_TRIES` times, before a command fails fast. */
const CLUSTER_RETRY_MS = 50
const CLUSTER_TRIES = 4
/** How often the map of a cluster's slots is read without a cause: a node may vanish without closing its connections. */
const SLOTS_REFRESH_MS = 5_000
/** A subscriber that has not been answered for so long is connected to another node. */
const SUBSCRIBER_PING_MS = 5_000

/** Connects to Redis; reconnects for ever with a back-off of at most one second, and logs each change once. */
export function connectRedis(options: RedisClientOptions): RedisClient {
  const [first] = options.urls
  if (first === undefined) throw new Error('connectRedis needs at least one URL')
  const common = commonOptions(options)
  const client =
    options.urls.length === 1
      ? new Redis(first, { ...common, retryStrategy: backOff })
      : connectCluster(options.urls, first, common)
  logAbsence(client, options.log)
  return client
}

/**
 * A connection for announcements (pub/sub). In a cluster every node passes every message on, so it is one connection to one
 * node, and after each failure to the next: `ready` tells, as with one Redis, that subscriptions stand again and that
 * messages may have been missed.
 */
export function connectSubscriber(options: RedisClientOptions): RedisClient {
  const [first] = options.urls
  if (first === undefined || options.urls.length === 1) return connectRedis(options)
  const nodes = options.urls.map((url) => new URL(url))
  let turn = Math.floor(Math.random() * nodes.length)
  const client = new Redis({
    ...commonOptions(options),
    ...accessOf(first),
    ...addressOf(nodes[turn]),
    retryStrategy: (attempt: number) => {
      // The connection is made anew from these.
      Object.assign(client.options, addressOf(nodes[++turn % nodes.length]))
      return backOff(attempt)
    },
  })
  logAbsence(client, options.log)
  leaveSilentNodes(client)
  return client
}

/**
 * Publishes so that one process's messages on a channel arrive in their order: in a cluster all of a channel go through the
 * same node.
 */
export function publishInOrder(client: RedisClient, channel: string, message: string | Buffer): Promise<unknown> {
  return client.isCluster
    ? client.eval("return redis.call('PUBLISH', KEYS[1], ARGV[1])", 1, channel, message)
    : client.publish(channel, message)
}

/**
 * Calls `listener` when what was written last may be lost: Redis was away and is back, or a cluster's master is gone or was
 * replaced by its replica, which may lack the last moments.
 */
export function onRedisLoss(client: RedisClient, listener: () => void): void {
  let wasReady = client.status === 'ready'
  client.on('ready', () => {
    if (wasReady) listener()
    wasReady = true
  })
  if (!client.isCluster) return
  const cluster = client as unknown as Cluster
  let masters = ''
  cluster.on('-node', (node: Redis) => {
    if (node.options.readOnly !== true && cluster.status === 'ready') listener()
  })
  cluster.on('refresh', () => {
    const now = cluster
      .nodes('master')
      .map(({ options }) => `${options.host}:${options.port}`)
      .sort()
      .join()
    if (masters !== '' && now !== masters) listener()
    masters = now
  })
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

function commonOptions(options: RedisClientOptions) {
  const failFast = options.whenAway === 'fail-fast'
  return {
    connectionName: options.connectionName,
    enableOfflineQueue: !failFast,
    maxRetriesPerRequest: failFast ? 0 : null,
    enableAutoPipelining: false,
    connectTimeout: 2_000,
    keepAlive: 10_000,
    ...(options.commandTimeoutMs === undefined ? {} : { commandTimeout: options.commandTimeoutMs }),
  }
}

type CommonOptions = ReturnType<typeof commonOptions>

function connectCluster(urls: readonly string[], first: string, common: CommonOptions): RedisClient {
  const failFast = common.enableOfflineQueue === false
  const options = {
    // Nodes that the cluster tells of come without credentials.
    redisOptions: { ...common, ...accessOf(first) },
    // A node that is known by its name is reached by its name: certificates say that.
    dnsLookup: (host: string, done: (fault: null, address: string) => void) => done(null, host),
    clusterRetryStrategy: backOff,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    retryDelayOnFailover: CLUSTER_RETRY_MS,
    retryDelayOnClusterDown: CLUSTER_RETRY_MS,
    // What waits goes on for as long as it takes.
    maxRedirections: failFast ? CLUSTER_TRIES : Number.MAX_SAFE_INTEGER,
  }
  return (failFast ? new FailFastCluster([...urls], options) : new Cluster([...urls], options)) as unknown as Redis
}

/**
 * Commands fail at once while the cluster is away. ioredis' own setting would also refuse those that come while one node's
 * connection is being made, and send them later, out of order.
 */
class FailFastCluster extends Cluster {
  override sendCommand(...args: Parameters<Cluster['sendCommand']>): unknown {
    const [command] = args
    // How it finds out whether the cluster is whole.
    if (this.status === 'ready' || command.name === 'cluster') return super.sendCommand(...args)
    command.reject(new Error('Redis is away'))
    return command.promise
  }
}

function logAbsence(client: RedisClient, log: Logger): void {
  let away = false
  client.on('error', (fault: Error) => {
    if (!away) log.warn({ err: fault }, 'Redis is away')
    away = true
  })
  client.on('ready', () => {
    if (away) log.info('Redis is back')
    away = false
  })
}

/** A node that hangs keeps its connections: only that it answers tells that messages come through it. */
function leaveSilentNodes(client: RedisClient): void {
  let isAnswered = true
  const timer = setInterval(() => {
    if (client.status !== 'ready') return
    if (!isAnswered) client.disconnect(true)
    isAnswered = false
    client.ping().then(
      () => (isAnswered = true),
      () => (isAnswered = true),
    )
  }, SUBSCRIBER_PING_MS)
  timer.unref()
  client.once('end', () => clearInterval(timer))
  client.on('ready', () => (isAnswered = true))
}

function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), 1_000)
}

function accessOf(url: string): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  const { username, password, protocol } = new URL(url)
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

function addressOf(url: URL | undefined): { host: string; port: number } {
  return { host: (url?.hostname ?? '').replace(/^\[|\]$/g, ''), port: Number(url?.port || 6379) }
}
