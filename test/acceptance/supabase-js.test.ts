import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction } from 'node:net'
import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js'
import { Agent, fetch as undiciFetch } from 'undici'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { type Tenant, TestPlatform } from '../support/platform.ts'
import { makeTestTls, type TestTls } from '../support/tls.ts'

/*
 * An unmodified supabase-js at `https://<name>.<domain>`, with data, files and realtime, on every degree of isolation.
 */

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let platform: TestPlatform
let tls: TestTls
let dispatcher: Agent

beforeAll(async () => {
  tls = await makeTestTls()
  platform = await TestPlatform.start({ env: tls.env })
  dispatcher = new Agent({ connect: trust() })
})

afterAll(async () => {
  await dispatcher?.close()
  await platform?.close()
  await tls?.remove()
})

/** Names under `localhost` are not resolved everywhere. */
const findLoopback: LookupFunction = (_host, options, done) => {
  if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
  else done(null, '127.0.0.1', 4)
}

/** Wildcards directly under a top-level domain are not believed by default: the certificate itself is what counts here. */
const trust = () => ({ ca: tls.certificate, lookup: findLoopback, checkServerIdentity: () => undefined })

class LoopbackWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { agent: new HttpsAgent(trust()) })
  }
}

function connect(tenant: Tenant, key: string): SupabaseClient {
  return createClient(`https://${tenant.name}.localhost:${tls.port}`, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: LoopbackWebSocket as never },
    global: {
      fetch: (input, init) =>
        undiciFetch(input as string, { ...(init as object), dispatcher }) as unknown as Promise<Response>,
    },
  })
}

async function subscribe(channel: RealtimeChannel): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    channel.subscribe((status, fault) => {
      if (status === 'SUBSCRIBED') resolve()
      else if (status !== 'CLOSED') reject(fault ?? new Error(status))
    })
  })
}

describe.each(['schema', 'database', 'cluster'])('%s isolation', (isolation) => {
  let client: SupabaseClient
  let tenant: Tenant

  beforeAll(async () => {
    tenant = await platform.createTenant(`app-${isolation}`, { plan: 'enterprise', isolation })
    await platform.createTodos(tenant)
    client = connect(tenant, tenant.keys.service)
  })

  afterAll(async () => {
    await client?.realtime.disconnect()
  })

  test('data: insert, select with filter and count, update, upsert, delete, errors as errors', async () => {
    const inserted = await client
      .from('todos')
      .insert([{ title: 'anvil' }, { title: 'rocket' }, { title: 'magnet' }])
      .select()
    expect(inserted.error).toBeNull()
    expect(inserted.data).toHaveLength(3)
    const found = await client.from('todos').select('*', { count: 'exact' }).like('title', '%net').limit(10)
    expect(found).toMatchObject({ error: null, count: 1, data: [{ title: 'magnet' }] })
    const id = found.data?.[0]?.id as number
    const updated = await client.from('todos').update({ title: 'magnets' }).eq('id', id).select().single()
    expect(updated).toMatchObject({ error: null, data: { id, title: 'magnets' } })
    const upserted = await client.from('todos').upsert({ id, title: 'magnet' }).select().single()
    expect(upserted.data).toMatchObject({ id, title: 'magnet' })
    expect((await client.from('todos').delete().eq('id', id)).error).toBeNull()
    expect((await client.from('todos').select('id').eq('id', id).maybeSingle()).data).toBeNull()
    expect((await client.from('nowhere').select()).error?.code).toBe('PGRST205')
  })

  test('files: bucket, upload, list, download, signed URL, remove', async () => {
    expect((await client.storage.createBucket('photos', { public: false })).error).toBeNull()
    const photos = client.storage.from('photos')
    const uploaded = await photos.upload('a/cat.txt', 'meow', { contentType: 'text/plain' })
    expect(uploaded).toMatchObject({ error: null, data: { path: 'a/cat.txt' } })
    expect((await photos.list('a')).data?.map(({ name }) => name)).toEqual(['cat.txt'])
    expect(await (await photos.download('a/cat.txt')).data?.text()).toBe('meow')
    const signed = await photos.createSignedUrl('a/cat.txt', 60)
    const fetched = await undiciFetch(signed.data?.signedUrl ?? '', { dispatcher })
    expect([fetched.status, await fetched.text()]).toEqual([200, 'meow'])
    expect((await photos.remove(['a/cat.txt'])).error).toBeNull()
    expect((await photos.download('a/cat.txt')).error).not.toBeNull()
  })

  test('realtime: broadcast, presence, and changes of rows over wss', async () => {
    const heard: string[] = []
    const listener = connect(tenant, tenant.keys.service)
    const room = listener
      .channel('room')
      .on('broadcast', { event: 'shout' }, ({ payload }) => heard.push(`broadcast ${payload.text}`))
      .on('presence', { event: 'join' }, ({ newPresences }) => heard.push(`join ${newPresences[0]?.who}`))
      .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'todos' }, (change) =>
        heard.push(`insert ${change.new.title}`),
      )
    try {
      await subscribe(room)
      const speaking = client.channel('room', { config: { broadcast: { ack: true } } })
      await subscribe(speaking)
      expect(await speaking.send({ type: 'broadcast', event: 'shout', payload: { text: 'hello' } })).toBe('ok')
      expect(await speaking.track({ who: 'coyote' })).toBe('ok')
      await vi.waitFor(
        async () => {
          expect((await client.from('todos').insert({ title: 'live' })).error).toBeNull()
          expect(heard).toEqual(expect.arrayContaining(['broadcast hello', 'join coyote', 'insert live']))
        },
        { timeout: 20_000, interval: 300 },
      )
    } finally {
      await listener.realtime.disconnect()
    }
  })
})
