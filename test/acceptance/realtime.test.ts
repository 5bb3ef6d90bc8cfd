import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { fetch as undiciFetch } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { type Tenant, TestPlatform } from '../support/platform.ts'

/** An unmodified supabase-js over the gateway: what one client does, another hears, and another tenant never. */
let platform: TestPlatform
let acme: Tenant
let globex: Tenant
const clients: SupabaseClient[] = []

beforeAll(async () => {
  platform = await TestPlatform.start()
  acme = await platform.createTenant('acme', { plan: 'enterprise' })
  globex = await platform.createTenant('globex', { plan: 'enterprise' })
  for (const tenant of [acme, globex]) await platform.createTodos(tenant)
}, 120_000)

afterAll(async () => {
  for (const client of clients) await client.realtime.disconnect()
  await platform?.close()
})

/** Names under `localhost` are not resolved everywhere: the socket is told where they are. */
class LoopbackWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, {
      lookup: (_host, options, done) => {
        if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
        else done(null, '127.0.0.1', 4)
      },
    })
  }
}

function connect(tenant: Tenant): SupabaseClient {
  const dispatcher = platform.agent()
  const client = createClient(platform.tenantUrl(tenant.name), tenant.keys.anon, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: LoopbackWebSocket as never },
    global: {
      fetch: (input, init) =>
        undiciFetch(input as string, { ...(init as object), dispatcher }) as unknown as Promise<Response>,
    },
  })
  clients.push(client)
  return client
}

test('broadcasts and changes of rows reach the listeners of the tenant, and nobody else', async () => {
  const heard: Record<string, string[]> = { acme: [], globex: [] }
  for (const tenant of [acme, globex]) {
    const channel = connect(tenant)
      .channel('room')
      .on('broadcast', { event: 'shout' }, (message) => heard[tenant.name]?.push(`broadcast ${message.payload.text}`))
      .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'todos' }, (change) => {
        expect(change.new).not.toHaveProperty('tenant_id')
        heard[tenant.name]?.push(`insert ${change.new.title}`)
      })
    await new Promise<void>((resolve, reject) => {
      channel.subscribe((status, fault) => {
        if (status === 'SUBSCRIBED') resolve()
        else if (status !== 'CLOSED') reject(fault ?? new Error(status))
      })
    })
  }
  const speaker = connect(acme)
  const room = speaker.channel('room', { config: { broadcast: { ack: true } } })
  await new Promise<void>((resolve) => {
    room.subscribe((status) => status === 'SUBSCRIBED' && resolve())
  })
  expect(await room.send({ type: 'broadcast', event: 'shout', payload: { text: 'hello' } })).toBe('ok')
  await vi.waitFor(
    async () => {
      expect((await speaker.from('todos').insert({ title: 'anvil' })).error).toBeNull()
      expect(heard.acme).toEqual(expect.arrayContaining(['broadcast hello', 'insert anvil']))
    },
    { timeout: 20_000, interval: 500 },
  )
  expect(heard.globex).toEqual([])
  await vi.waitFor(
    async () => {
      const { realtime } = (await platform.usage(acme)).json.resources
      expect(realtime.peak_connections).toBeGreaterThanOrEqual(2)
      expect(realtime.messages).toBeGreaterThanOrEqual(2)
    },
    { timeout: 10_000, interval: 200 },
  )
}, 60_000)
