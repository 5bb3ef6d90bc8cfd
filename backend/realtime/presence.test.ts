import type { RealtimeChannel, RealtimeClient } from '@supabase/realtime-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { makeTenant, TestBackend } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

const acme = makeTenant('acme')
const globex = makeTenant('globex')
const tenants = [acme, globex]
let redis: RedisServer
let one: TestBackend
let two: TestBackend
const clients: RealtimeClient[] = []
const servers: { stop(): Promise<unknown> }[] = []

beforeAll(async () => {
  redis = await startRedis()
  one = await TestBackend.start(redis, { tenants, beatMs: 100 })
  two = await TestBackend.start(redis, { tenants, beatMs: 100 })
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.disconnect()
  for (const server of servers.splice(0).reverse()) await server.stop()
})
afterAll(async () => {
  await one.stop()
  await two.stop()
  await redis.stop()
})

type Present = { channel: RealtimeChannel; events: string[]; keys: () => string[] }

/** Joins a topic with presence and keeps the events that the client raises. */
async function enter(backend: TestBackend, topic: string, key: string, tenant = acme): Promise<Present> {
  const client = backend.client(tenant)
  clients.push(client)
  const events: string[] = []
  const channel = client.channel(topic, { config: { presence: { key } } })
  channel.on('presence', { event: 'join' }, ({ key: who }) => events.push(`join ${who}`))
  channel.on('presence', { event: 'leave' }, ({ key: who }) => events.push(`leave ${who}`))
  channel.on('presence', { event: 'sync' }, () => {})
  await new Promise<void>((resolve, reject) =>
    channel.subscribe((status, fault) => {
      if (status === 'SUBSCRIBED') resolve()
      else reject(fault ?? new Error(status))
    }),
  )
  return { channel, events, keys: () => Object.keys(channel.presenceState()).sort() }
}

test('whoever tracks is seen on every process, by those who come later too, and is gone when gone', async () => {
  const ada = await enter(one, 'room', 'ada')
  const bob = await enter(two, 'room', 'bob')
  expect(await ada.channel.track({ mood: 'fine' })).toBe('ok')
  expect(await bob.channel.track({ mood: 'so-so' })).toBe('ok')
  await waitFor(() => ada.keys().join() === 'ada,bob' && bob.keys().join() === 'ada,bob')
  expect(ada.channel.presenceState().bob).toMatchObject([{ mood: 'so-so', presence_ref: expect.any(String) }])

  const late = await enter(two, 'room', 'cleo')
  await waitFor(() => late.keys().join() === 'ada,bob')

  await ada.channel.track({ mood: 'better' })
  await waitFor(() => late.channel.presenceState().ada?.[0]?.['mood' as never] === 'better')
  expect(late.channel.presenceState().ada).toHaveLength(1)

  expect(await bob.channel.untrack()).toBe('ok')
  await waitFor(() => ada.keys().join() === 'ada' && ada.events.includes('leave bob'))
  await clients[0]?.disconnect()
  await waitFor(() => bob.keys().length === 0 && late.keys().length === 0)
})

test('two clients under one key are two presences of it', async () => {
  const first = await enter(one, 'shared', 'ada')
  const second = await enter(two, 'shared', 'ada')
  await first.channel.track({ device: 1 })
  await second.channel.track({ device: 2 })
  await waitFor(() => first.channel.presenceState().ada?.length === 2)
  await second.channel.untrack()
  await waitFor(() => first.channel.presenceState().ada?.length === 1)
})

test('a key may be called anything, and another tenant’s topic of the same name stays empty', async () => {
  const other = await enter(one, 'odd', 'spy', globex)
  const odd = await enter(one, 'odd', '__proto__')
  const watcher = await enter(two, 'odd', 'constructor')
  await odd.channel.track({ ['__proto__']: { polluted: true }, phx_ref: 'forged' })
  await watcher.channel.track({})
  await waitFor(() => watcher.events.includes('join __proto__') && odd.events.includes('join constructor'))
  expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  expect(other.keys()).toEqual([])
  expect(other.events).toEqual([])
})

test('what a killed process held leaves once its lease has run out', async () => {
  const doomed = await TestBackend.start(redis, { tenants, beatMs: 100 })
  const watcher = await enter(one, 'doom', 'watcher')
  const victim = await enter(doomed, 'doom', 'victim')
  await victim.channel.track({})
  await waitFor(() => watcher.keys().join() === 'victim')
  const dead = doomed.instanceId
  await doomed.kill()
  // What would come by itself after fifteen seconds.
  await one.redis.del(`aerodb:realtime:backend:${dead}`)
  await waitFor(() => watcher.keys().length === 0)
  const late = await enter(two, 'doom', 'late')
  expect(late.keys()).toEqual([])
})

/** Two processes over a Redis that keeps nothing when it is stopped. */
async function startLossy(leftBeatMs: number, rightBeatMs: number) {
  const lossy = await startRedis()
  servers.push(lossy)
  const left = await TestBackend.start(lossy, { tenants, beatMs: leftBeatMs })
  servers.push(left)
  const right = await TestBackend.start(lossy, { tenants, beatMs: rightBeatMs })
  servers.push(right)
  return { lossy, left, right }
}

test('after Redis was away and lost everything, everybody is present again', async () => {
  const { lossy, left, right } = await startLossy(100, 100)
  const ada = await enter(left, 'lossy', 'ada')
  const bob = await enter(right, 'lossy', 'bob')
  await ada.channel.track({})
  await waitFor(() => bob.keys().join() === 'ada')
  await lossy.stop()
  // Local members are served while Redis is away.
  const local = await enter(left, 'lossy', 'local')
  await local.channel.track({})
  await waitFor(() => ada.keys().join() === 'ada,local')
  await lossy.start()
  await waitFor(() => bob.keys().join() === 'ada,local')
  const late = await enter(right, 'lossy', 'late')
  await waitFor(() => late.keys().join() === 'ada,local')
})

test('who comes back to a Redis that lost everything is not taken for dead before the next beat', async () => {
  // The next beat would come too late.
  const { lossy, left: slow, right: quick } = await startLossy(60_000, 20)
  const ada = await enter(slow, 'back', 'ada')
  const bob = await enter(quick, 'back', 'bob')
  await ada.channel.track({})
  await waitFor(() => bob.keys().join() === 'ada')
  await lossy.stop()
  await lossy.start()
  const lease = `aerodb:realtime:backend:${slow.instanceId}`
  await waitFor(() =>
    slow.redis.exists(lease).then(
      (count) => count === 1,
      () => false,
    ),
  )
  await waitFor(() => bob.keys().join() === 'ada')
  // Longer than a quick process takes to tell that a lease is gone, and than its clients take to hear of it.
  await new Promise((resolve) => setTimeout(resolve, 300))
  await waitFor(() => bob.keys().join() === 'ada')
  const late = await enter(quick, 'back', 'late')
  await waitFor(() => late.keys().join() === 'ada')
})
