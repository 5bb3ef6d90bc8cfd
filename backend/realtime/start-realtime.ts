import type { UsageWriter } from '../../metering/contract.ts'
import { systemClock } from '../../runtime/clock.ts'
import { JwksCache } from '../../runtime/jwks.ts'
import type { Lifecycle } from '../../runtime/lifecycle.ts'
import type { Logger } from '../../runtime/log.ts'
import { connectSubscriber, type RedisClient } from '../../runtime/redis.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { DirectoryReader } from '../../tenancy/directory-reader.ts'
import type { RequestContextCodec } from '../../tenancy/request-context.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import type { TenantSnapshot } from '../../tenancy/snapshot.ts'
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
  /** Tenants as published, which the backend reads anyway. */
  tenants: DirectoryReader<TenantSnapshot>
  /** The backend's connection for commands. */
  redis: RedisClient
  /** Lets a JWKS URL point at a private address (development). */
  allowPrivateJwks: boolean
  lifecycle: Lifecycle
  log: Logger
}

/**
 * Wires the realtime service of a backend process. Whoever closes the HTTP server stops this first (`realtime.stop()`): a server
 * waits for its open sockets.
 */
export function startRealtime(options: StartRealtimeOptions): Realtime {
  const { contexts, servers, directory, tenants, sealer, usage, redis, lifecycle, log } = options
  const subscriber = connectSubscriber({
    urls: options.redisUrls,
    connectionName: 'backend-realtime',
    whenAway: 'wait',
    log,
  })
  lifecycle.onStop('realtime redis', () => subscriber.disconnect())
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
