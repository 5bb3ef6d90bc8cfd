import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { CONTEXT_HEADER } from '../../tenancy/request-context.ts'
import { signContext, TestBackend } from '../test-support/test-backend.ts'
import { ChangesDatabase } from './test-support/changes-database.ts'
import type { TestTenant } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

/** The backend as it is started in production, asked as the gateway asks it. */
let database: ChangesDatabase
let tenant: TestTenant
let backend: TestBackend

beforeAll(async () => {
  database = await ChangesDatabase.create()
  tenant = await database.addTenant('acme')
  backend = await TestBackend.start([database.record])
})
afterAll(async () => {
  await backend.stop()
  await database.drop()
})

test('a collection made by the schema API is listened to, written over rest, and heard of; a broadcast by HTTP arrives', async () => {
  const caller = { tenantId: tenant.id, schema: tenant.snapshot.placement?.schema ?? '', name: tenant.name }
  const made = await backend.call(caller, '/schema/v1/collections', {
    role: 'service_role',
    body: {
      name: 'todos',
      columns: [{ name: 'title', type: 'text' }],
      rls: { policy: 'public_read', owner_column: 'title' },
    },
  })
  expect(made.status).toBe(201)
  const socket = new WebSocket(`${backend.url.replace('http', 'ws')}/realtime/v1/websocket?vsn=1.0.0`, {
    headers: { [CONTEXT_HEADER]: signContext(caller, { role: 'anon' }) },
  })
  const heard: { event: string; payload: Record<string, unknown> }[] = []
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString()) as (typeof heard)[number]))
  await once(socket, 'open')
  const config = { postgres_changes: [{ event: '*', schema: 'public', table: 'todos' }] }
  socket.send(JSON.stringify({ topic: 'realtime:t', event: 'phx_join', payload: { config }, ref: '1' }))
  await waitFor(() => heard.some(({ event, payload }) => event === 'system' && payload.status === 'ok'))
  const written = await backend.call(caller, '/rest/v1/todos', { role: 'service_role', body: { title: 'x' } })
  expect(written.status).toBe(201)
  const sent = await backend.call(caller, '/realtime/v1/api/broadcast', {
    body: { messages: [{ topic: 't', event: 'e', payload: { n: 1 } }] },
  })
  expect(sent.status).toBe(202)
  const change = await waitFor(() => heard.find(({ event }) => event === 'postgres_changes'))
  expect(change.payload).toMatchObject({ ids: [1], data: { type: 'INSERT', record: { id: 1, title: 'x' } } })
  const broadcast = await waitFor(() => heard.find(({ event }) => event === 'broadcast'))
  expect(broadcast.payload).toEqual({ type: 'broadcast', event: 'e', payload: { n: 1 } })
  const refused = await backend.call(caller, '/realtime/v1/api/broadcast', { body: { messages: [] } })
  expect(refused).toMatchObject({ status: 422, json: { code: 'invalid_broadcast' } })
  socket.close()
})
