import { createServer, request as forward, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CONTEXT_HEADER } from '../../tenancy/request-context.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'
import { signContext, TestBackend } from '../test-support/test-backend.ts'

let database: TenantDatabase
let backend: TestBackend
let acme: TestTenant
let edge: Server
let client: SupabaseClient

beforeAll(async () => {
  database = await TenantDatabase.create()
  backend = await TestBackend.start([database.record])
  acme = await database.addTenant()
  // Stands in for the gateway: it adds the signed context and passes everything on.
  edge = createServer((inbound, outbound) => {
    const headers = { ...inbound.headers, [CONTEXT_HEADER]: signContext(acme) }
    const upstream = forward(`${backend.url}${inbound.url}`, { method: inbound.method ?? 'GET', headers }, (answer) => {
      outbound.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outbound)
    })
    inbound.pipe(upstream)
  })
  await new Promise<void>((resolve) => edge.listen(0, '127.0.0.1', resolve))
  client = createClient(`http://127.0.0.1:${(edge.address() as AddressInfo).port}`, 'aero_service_key', {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  for (const collection of [
    { name: 'authors', columns: [{ name: 'name', type: 'text', unique: true }] },
    {
      name: 'books',
      columns: [
        { name: 'title', type: 'text', nullable: false },
        { name: 'pages', type: 'integer' },
        { name: 'author_id', type: 'bigint', references: 'authors.id' },
        { name: 'meta', type: 'jsonb' },
      ],
    },
  ])
    expect((await backend.call(acme, '/schema/v1/collections', { body: collection })).status).toBe(201)
})

afterAll(async () => {
  edge?.closeAllConnections()
  await new Promise((resolve) => edge?.close(resolve))
  await backend?.stop()
  await database?.drop()
})

test('an unmodified supabase-js inserts, selects with embeds, updates, upserts, counts and deletes', async () => {
  const authors = await client
    .from('authors')
    .insert([{ name: 'Ann' }, { name: 'Bob' }])
    .select()
  expect(authors).toMatchObject({
    error: null,
    status: 201,
    data: [
      { id: 1, name: 'Ann' },
      { id: 2, name: 'Bob' },
    ],
  })
  const books = await client.from('books').insert([
    { title: 'One', pages: 10, author_id: 1, meta: { a: { b: 1 } } },
    { title: 'Two', pages: 20, author_id: 1, meta: null },
    { title: 'Three', pages: 30, author_id: 2, meta: null },
  ])
  expect(books).toMatchObject({ error: null, status: 201, data: null })

  const embedded = await client
    .from('authors')
    .select('name, books(title, pages)')
    .order('name')
    .order('pages', { referencedTable: 'books', ascending: false })
  expect(embedded.data).toEqual([
    {
      name: 'Ann',
      books: [
        { title: 'Two', pages: 20 },
        { title: 'One', pages: 10 },
      ],
    },
    { name: 'Bob', books: [{ title: 'Three', pages: 30 }] },
  ])
  const inner = await client.from('books').select('title, authors!inner(name)').eq('authors.name', 'Bob')
  expect(inner.data).toEqual([{ title: 'Three', authors: { name: 'Bob' } }])
  const counted = await client.from('authors').select('*, books(count)').order('id')
  expect(counted.data).toEqual([
    { id: 1, name: 'Ann', books: [{ count: 2 }] },
    { id: 2, name: 'Bob', books: [{ count: 1 }] },
  ])

  const single = await client.from('books').select('title').eq('id', 1).single()
  expect(single.data).toEqual({ title: 'One' })
  const none = await client.from('books').select().eq('id', 99).single()
  expect(none.error).toMatchObject({ code: 'PGRST116' })
  expect((await client.from('books').select().eq('id', 99).maybeSingle()).data).toBeNull()

  const filtered = await client.from('books').select('id').or('pages.lt.15,title.eq.Three').order('id')
  expect(filtered.data).toEqual([{ id: 1 }, { id: 3 }])
  expect(
    (
      await client
        .from('books')
        .select('id')
        .in('title', ['One', 'T,w"o'])
        .contains('meta', { a: { b: 1 } })
    ).data,
  ).toEqual([{ id: 1 }])
  const page = await client.from('books').select('id', { count: 'exact' }).range(1, 1).order('id')
  expect(page).toMatchObject({ count: 3, data: [{ id: 2 }], status: 206 })
  expect(await client.from('books').select('*', { count: 'exact', head: true })).toMatchObject({ count: 3, data: null })

  const updated = await client.from('books').update({ pages: 11 }).eq('id', 1).select('pages').single()
  expect(updated.data).toEqual({ pages: 11 })
  const upserted = await client
    .from('authors')
    .upsert({ name: 'Ann' }, { onConflict: 'name', ignoreDuplicates: true })
    .select()
  expect(upserted).toMatchObject({ error: null, data: [] })
  const merged = await client
    .from('authors')
    .upsert([
      { id: 2, name: 'Bobby' },
      { id: 9, name: 'Cy' },
    ])
    .select()
    .order('id')
  expect(merged.data).toEqual([
    { id: 2, name: 'Bobby' },
    { id: 9, name: 'Cy' },
  ])
  const csv = await client.from('authors').select('name').order('id').csv()
  expect(csv.data).toBe('name\nAnn\nBobby\nCy')
  const failed = await client.from('authors').insert({ name: 'Ann' })
  expect(failed).toMatchObject({ status: 409, error: { code: '23505' } })
  const deleted = await client.from('books').delete().gt('pages', 15).select('title').order('id')
  expect(deleted.data).toEqual([{ title: 'Two' }, { title: 'Three' }])
})
