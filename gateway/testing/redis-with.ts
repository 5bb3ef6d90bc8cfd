import { makeLogger } from '../../runtime/log.ts'
import { connectRedis, whenRedisReady } from '../../runtime/redis.ts'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { DirectoryPublisher } from '../../tenancy/directory-publisher.ts'
import { startRedis } from '../../test/support/redis.ts'
import type { TestTenant } from './snapshots.ts'

/** A Redis that holds what control publishes: these tenants, and that they are all. */
export async function startRedisWith(...tenants: readonly TestTenant[]): Promise<RedisServer> {
  const server = await startRedis()
  const log = makeLogger('test', 'silent')
  const redis = connectRedis({ urls: [server.url], connectionName: 'test', log, whenAway: 'wait' })
  await whenRedisReady(redis, 5_000)
  const publisher = new DirectoryPublisher(redis)
  for (const { snapshot } of tenants) await publisher.publish('tenant', snapshot.name, 1, JSON.stringify(snapshot))
  await publisher.markComplete()
  redis.disconnect()
  return server
}
