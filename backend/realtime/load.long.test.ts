import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket as RawWebSocket } from 'ws'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { ChangesDatabase } from './test-support/changes-database.ts'
import { TestBackend, type TestTenant, userToken } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

const SUBSCRIBERS = 1_000
const ROUNDS = 20
const OWNED = `current_setting('app.role') = 'authenticated' or owner::text = (current_setting('request.jwt.claims', true)::json ->> 'sub')`

let redis: RedisServer
let database: ChangesDatabase
let acme: TestTenant
let backends: TestBackend[]

beforeAll(async () => {
  redis = await startRedis()
  database = await ChangesDatabase.create()
  acme = await database.addTenant('acme')
  await database.addTable(acme, 'open', 'id bigint primary key, owner text', 'true')
  await database.addTable(acme, 'guarded', 'id bigint primary key, owner text', OWNED)
  const options = { tenants: [acme], makeChanges: database.makeChanges, limits: { messagesPerRequestRate: 100 } }
  backends = [await TestBackend.start(redis, options), await TestBackend.start(redis, options)]
  await database.publish((backends[0] as TestBackend).redis)
})
afterAll(async () => {
  for (const backend of backends) await backend.stop()
  await redis.stop()
  await database.drop()
})

/** The time from commit to each of the receivers, in milliseconds. */
test.for<[string, number]>([
  ['open', 1],
  ['guarded', 1],
  ['guarded', 200],
])(
  'a committed change of a table that is %s reaches 1 000 subscribers of %i users',
  { timeout: 120_000 },
  async ([table, users]) => {
    const tokens = await Promise.all(Array.from({ length: users }, (_, n) => userToken(`user-${n}`)))
    const latencies: number[] = []
    let joined = 0
    let committedAtMs = 0
    const sockets: RawWebSocket[] = []
    for (let n = 0; n < SUBSCRIBERS; n++) {
      const backend = backends[n % backends.length] as TestBackend
      const socket = new RawWebSocket(`${backend.url(acme)}/websocket?apikey=${acme.anonKey}&vsn=2.0.0`)
      sockets.push(socket)
      socket.on('open', () =>
        socket.send(
          JSON.stringify([
            '1',
            '1',
            'realtime:c',
            'phx_join',
            {
              config: { postgres_changes: [{ event: 'INSERT', schema: 'public', table }] },
              access_token: tokens[n % users],
            },
          ]),
        ),
      )
      socket.on('message', (data: Buffer) => {
        if (data.includes('"phx_reply"')) joined += 1
        else if (data.includes('"postgres_changes"') && data.includes('"ids"'))
          latencies.push(performance.now() - committedAtMs)
      })
      if (n % 100 === 99) await waitFor(() => joined === n + 1, 30_000)
    }
    for (let round = 1; round <= ROUNDS; round++) {
      const write = database.write(acme, `insert into ${table} values (${round + users * 1_000}, 'user-0')`)
      committedAtMs = performance.now()
      await write
      await waitFor(() => latencies.length === SUBSCRIBERS * round, 30_000)
    }
    for (const socket of sockets) socket.terminate()
    latencies.sort((a, b) => a - b)
    const at = (fraction: number) => (latencies[Math.floor(latencies.length * fraction)] ?? 0).toFixed(1)
    console.log(`${table}, ${users} users: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(0.9999)} ms`)
    expect(latencies).toHaveLength(SUBSCRIBERS * ROUNDS)
  },
)
