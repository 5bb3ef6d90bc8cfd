import type { UsageWriter } from '../../metering/contract.ts'
import { systemClock } from '../../runtime/clock.ts'
import { JwksCache } from '../../runtime/jwks.ts'
import type { Lifecycle } from '../../runtime/lifecycle.ts'
import type { Logger } from '../../runtime/log.ts'
import { connectSubscriber, type RedisClient } from '../../runtime/redis.ts'
import type { Sealer } from '../../runtime/seal.ts'
import { DirectoryReader } from '../../tenancy/directory-reader.ts'
import type { LastKnownGood } from '../../tenancy/last-known-good.ts'
import type { RequestContextCodec } from '../../tenancy/request-context.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import { parseTenantSnapshot, type TenantSnapshot } from '../../tenancy/snapshot.ts'
import type { Servers } from '../postgres/servers.ts'
import { Changes } from './changes/changes.ts'
import { Realtime } from './realtime.ts'

export type StartRealtimeOptions = {
  contexts: RequestContextCodec
  servers: Servers
  /** The server records, which the backend reads anyway. */
  directory: DirectoryReader<ServerRecord>
  sealer: Sealer
  usage: UsageWriter
  redisUrls: readonly string[]
  /** The backend's connection for commands. */
  redis: RedisClient
  /** The backend's connection for announcements. */
  announcements: RedisClient
  lastKnownGood: LastKnownGood
  /** Lets a JWKS URL point at a private address (development). */
  allowPrivateJwks: boolean
  lifecycle: Lifecycle
  log: Logger
}

/** Tenants whose tokens and states are known at once. */
const MAX_TENANTS = 20_000

/**
 * Wires the realtime service of a backend process. Whoever closes the HTTP server stops this first (`realtime.stop()`): a server
 * waits for its open sockets.
 */
export function startRealtime(options: StartRealtimeOptions): Realtime {
  const { contexts, servers, directory, sealer, usage, redis, lifecycle, log } = options
  const subscriber = connectSubscriber({
    urls: options.redisUrls,
    connectionName: 'backend-realtime',
    whenAway: 'wait',
    log,
  })
  lifecycle.onStop('realtime redis', () => subscriber.disconnect())
  const tenants = new DirectoryReader<TenantSnapshot>({
    kind: 'tenant',
    redis,
    subscriber: options.announcements,
    lastKnownGood: options.lastKnownGood,
    parse: parseTenantSnapshot,
    versionOf: (snapshot) => snapshot.version,
    maxEntries: MAX_TENANTS,
    clock: systemClock,
    log,
  })
  tenants.start()
  lifecycle.onStop('realtime tenants', () => tenants.stop())
  const jwks = new JwksCache({ allowPrivate: options.allowPrivateJwks, clock: systemClock })
  lifecycle.onStop('realtime jwks', () => jwks.close())
  return new Realtime({
    contexts,
    tenants,
    sealer,
    jwks,
    redis,
    subscriber,
    makeChanges: (bus) => new Changes({ bus, redis, servers, directory, sealer, log }),
    usage,
    clock: systemClock,
    log,
  })
}
