// A sink in a process of its own, to be killed: `<database URL> <Redis URL>`.
import { systemClock } from '../../runtime/clock.ts'
import { makePostgresPool } from '../../runtime/postgres-pool.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { RedisUsageStream } from '../redis-stream.ts'
import { Sink } from '../sink.ts'
import { quiet } from './quiet.ts'

const [, , databaseUrl = '', redisUrl = ''] = process.argv
const redis = connectRedis({
  urls: redisUrl.split(','),
  connectionName: 'test-sink',
  log: quiet,
  whenAway: 'fail-fast',
  commandTimeoutMs: 2_000,
})
const pool = makePostgresPool({ url: databaseUrl, applicationName: 'test-sink', maxConnections: 2, log: quiet })
new Sink({
  databaseUrl,
  pool,
  stream: new RedisUsageStream(redis),
  clock: systemClock,
  log: quiet,
  pollMs: 10,
  balanceMs: 100,
}).start()
process.on('disconnect', () => process.exit())
