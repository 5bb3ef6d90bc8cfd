import type { RealtimeChannel, RealtimeClient, RealtimePostgresChangesPayload } from '@supabase/realtime-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { startRedis } from '../../test/support/redis.ts'
import { ChangesDatabase } from './test-support/changes-database.ts'
import { TestBackend, type TestTenant, userToken } from './test-support/realtime-harness.ts'
import { waitFor } from './test-support/wait-for.ts'

type Payload = RealtimePostgresChangesPayload<Record<string, unknown>>

const OWNED = `current_setting('app.role') = 'service_role' or (current_setting('app.role') = 'authenticated'
  and owner::text = (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'))`

let redis: RedisServer
let database: ChangesDatabase
let acme: TestTenant
let globex: TestTenant
let one: TestBackend
let two: TestBackend
const clients: RealtimeClient[] = []

beforeAll(async () => {
  redis = await startRedis()
  database = await ChangesDatabase.create()
  acme = await database.addTenant('acme')
  globex = await database.addTenant('globex')
  for (const tenant of [acme, globex]) {
    await database.addTable(
      tenant,
      'todos',
      'id bigint primary key, title text, n int, at timestamptz, doc jsonb',
      'true',
    )
    await database.addTable(
      tenant,
      'notes',
      'id uuid primary key default gen_random_uuid(), owner text, body text',
      OWNED,
    )
    await database.addTable(tenant, 'hidden', 'id int primary key, x text', '')
  }
  const options = { tenants: [acme, globex], makeChanges: database.makeChanges }
  one = await TestBackend.start(redis, options)
  two = await TestBackend.start(redis, options)
  await database.publish(one.redis)
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.disconnect()
})
afterAll(async () => {
  await one.stop()
  await two.stop()
  await redis.stop()
  await database.drop()
})

type Watch = { channel: RealtimeChannel; seen: Payload[]; system: { status: string; message: string }[] }

/** Subscribes an unmodified client to changes and keeps what it is told. */
async function watch(
  backend: TestBackend,
  tenant: TestTenant,
  binding: { event?: '*' | 'INSERT' | 'UPDATE' | 'DELETE'; table?: string; filter?: string; select?: string[] },
  options: { key?: string; token?: string; wait?: boolean; vsn?: string } = {},
): Promise<Watch> {
  const { token, wait, ...rest } = options
  const client = backend.client(tenant, rest)
  clients.push(client)
  if (token !== undefined) await client.setAuth(token)
  const seen: Payload[] = []
  const system: Watch['system'] = []
  const channel = client.channel('changes', { config: wait === true ? { postgres_changes_options: { wait } } : {} })
  channel.on(
    'postgres_changes',
    { event: '*', schema: 'public', ...binding } as { event: '*'; schema: string },
    (payload) => seen.push(payload),
  )
  channel.on('system', {}, (message) => system.push(message as never))
  await new Promise<void>((resolve, reject) =>
    channel.subscribe((status, fault) => {
      if (status === 'SUBSCRIBED') resolve()
      else reject(fault ?? new Error(status))
    }),
  )
  return { channel, seen, system }
}

test('a committed change reaches subscribers on every process, in the shape that realtime-js hands out', async () => {
  const near = await watch(one, acme, { table: 'todos' })
  const far = await watch(two, acme, { table: 'todos' }, { vsn: '1.0.0' })
  await waitFor(() => near.system.length > 0 && far.system.length > 0)
  expect(near.system[0]).toEqual({
    extension: 'postgres_changes',
    status: 'ok',
    message: 'Subscribed to PostgreSQL',
    channel: 'changes',
  })
  await database.write(
    acme,
    `insert into todos values (1, 'naïve "quoted" 👋', 7, '2026-01-02 03:04:05.6+00', '{"a":[1,null]}')`,
  )
  await database.write(acme, `update todos set n = 8 where id = 1`)
  await database.write(acme, `delete from todos where id = 1`)
  for (const { seen } of [near, far]) {
    await waitFor(() => seen.length === 3)
    const row = { id: 1, title: 'naïve "quoted" 👋', n: 7, at: '2026-01-02T03:04:05.6+00:00', doc: { a: [1, null] } }
    expect(seen[0]).toEqual({
      schema: 'public',
      table: 'todos',
      commit_timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      eventType: 'INSERT',
      new: row,
      old: {},
      errors: null,
    })
    expect(seen[1]).toMatchObject({ eventType: 'UPDATE', new: { ...row, n: 8 }, old: { id: 1 } })
    expect(seen[2]).toMatchObject({ eventType: 'DELETE', new: {}, old: { id: 1 } })
    expect(JSON.stringify(seen)).not.toContain('tenant_id')
  }
})

test('nobody hears of another tenant’s changes', async () => {
  const mine = await watch(one, acme, { table: 'todos' }, { key: acme.serviceKey })
  const theirs = await watch(one, globex, {}, { key: globex.serviceKey })
  await database.write(acme, `insert into todos values (10, 'acme’s own')`)
  await database.write(globex, `insert into todos values (20, 'globex’s own')`)
  await database.write(acme, `insert into todos values (11, 'acme’s last')`)
  await waitFor(() => mine.seen.length === 2 && theirs.seen.length === 1)
  expect(mine.seen.map((payload) => payload.new)).toMatchObject([{ id: 10 }, { id: 11 }])
  expect(theirs.seen.map((payload) => payload.new)).toMatchObject([{ id: 20 }])
  // A row that carries another tenant's id, wherever it lies, is told to nobody.
  await database.write({ ...acme, id: globex.id }, `insert into todos values (12, 'stray')`)
  await database.write(acme, `insert into todos values (13, 'after')`)
  await waitFor(() => mine.seen.some((payload) => (payload.new as { id?: number }).id === 13))
  expect(JSON.stringify([mine.seen, theirs.seen])).not.toContain('stray')
  await database.write(acme, 'delete from todos')
  await database.write(globex, 'delete from todos')
})

test('a row is told to whom the table’s policies let read that very row, also when it changes hands and when it goes', async () => {
  const ada = await watch(one, acme, { table: 'notes' }, { token: await userToken('ada') })
  const bob = await watch(two, acme, { table: 'notes' }, { token: await userToken('bob') })
  const anon = await watch(one, acme, { table: 'notes' })
  const service = await watch(two, acme, { table: 'notes' }, { key: acme.serviceKey })
  await database.write(
    acme,
    `insert into notes (owner, body) values ('ada', 'ada’s secret'), ('bob', 'bob’s secret')`,
    `update notes set owner = 'bob', body = 'given' where body = 'ada’s secret'`,
    `delete from notes where body = 'given'`,
    `delete from notes where body = 'bob’s secret'`,
  )
  await waitFor(() => service.seen.length === 5 && bob.seen.length === 4 && ada.seen.length === 1)
  expect(ada.seen).toMatchObject([{ eventType: 'INSERT', new: { body: 'ada’s secret' } }])
  expect(bob.seen.map((payload) => payload.eventType)).toEqual(['INSERT', 'UPDATE', 'DELETE', 'DELETE'])
  // A deleted row says its key and no more.
  expect(Object.keys(bob.seen[2]?.old ?? {})).toEqual(['id'])
  expect(anon.seen).toEqual([])
})

test('a table without a policy for reading tells its rows to the service key alone', async () => {
  const anon = await watch(one, acme, { table: 'hidden' })
  const user = await watch(one, acme, { table: 'hidden' }, { token: await userToken('ada') })
  const service = await watch(one, acme, { table: 'hidden' }, { key: acme.serviceKey })
  await database.write(acme, `insert into hidden values (1, 'x')`, `delete from hidden`)
  await waitFor(() => service.seen.length === 2)
  expect(anon.seen).toEqual([])
  expect(user.seen).toEqual([])
})

test('filters, events and column lists narrow what is told', async () => {
  const cases: [Parameters<typeof watch>[2], number[]][] = [
    [{ filter: 'n=eq.2' }, [2]],
    [{ filter: 'n=gt.8' }, [9, 10]],
    [{ filter: 'n=not.in.(1,2,9)' }, [10]],
    [{ filter: 'n=gte.2,n=lt.10' }, [2, 9]],
    [{ filter: 'title=in.("a,b",x)' }, [2]],
    [{ filter: 'title=ilike.T%' }, [9, 10]],
    [{ filter: 'at=eq.2026-01-01T01:00:00+01:00' }, [1]],
    [{ filter: 'doc=is.null' }, [1, 2, 9, 10]],
    [{ event: 'DELETE' }, []],
  ]
  const watches = await Promise.all(
    cases.map(([binding], index) =>
      watch(index % 2 === 0 ? one : two, acme, { event: 'INSERT', table: 'todos', ...binding }),
    ),
  )
  const narrow = await watch(one, acme, { event: 'INSERT', table: 'todos', select: ['title'] })
  await database.write(
    acme,
    `insert into todos (id, n, title, at) values (101, 1, null, '2026-01-01 00:00:00+00'), (102, 2, 'a,b', null), (109, 9, 'ten', null), (110, 10, 'Twelve', null)`,
  )
  await waitFor(() => narrow.seen.length === 4)
  expect(narrow.seen[1]?.new).toEqual({ id: 102, title: 'a,b' })
  for (const [index, [binding, expected]] of cases.entries()) {
    const { seen } = watches[index] as Watch
    await waitFor(() => seen.length >= expected.length)
    expect([binding, seen.map((payload) => (payload.new as { n: number }).n)]).toEqual([binding, expected])
  }
  await database.write(acme, 'delete from todos')
})

test('a binding that asks for what is not there is refused to who waits, and told to who does not', async () => {
  const bad: Parameters<typeof watch>[2][] = [
    { table: 'nothing' },
    { table: 'todos', filter: 'nothing=eq.1' },
    { table: 'todos', filter: 'tenant_id=eq.1' },
    { table: 'todos', filter: 'n=eq.words' },
    { table: 'todos', filter: 'n=near.1' },
    { table: 'todos', select: ['tenant_id'] },
  ]
  for (const binding of bad) {
    await expect(watch(one, acme, binding, { wait: true })).rejects.toThrow(/Unable|filter|column|invalid/i)
    const told = await watch(one, acme, binding)
    await waitFor(() => told.system.length > 0)
    expect(told.system[0]).toMatchObject({ extension: 'postgres_changes', status: 'error' })
  }
})

test('when the process that reads the stream is killed, another goes on and nothing is missed or told twice', async () => {
  const survivor = await watch(two, acme, { table: 'todos', event: 'INSERT' })
  const readers = () =>
    database.database.asAdmin(`select active_pid from pg_replication_slots where database = current_database()`)
  const { rows } = await readers()
  expect(rows).toHaveLength(1)
  let stopped = false
  const writing = (async () => {
    for (let n = 1; !stopped || n <= 20; n++) await database.write(acme, `insert into todos values (${n})`)
  })()
  await database.database.asAdmin(`select pg_terminate_backend(${rows[0].active_pid}), pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'aerodb-realtime-lead' and datname = current_database()`)
  await waitFor(async () => {
    const [row] = (await readers()).rows
    return row?.active_pid !== null && row?.active_pid !== rows[0].active_pid
  })
  stopped = true
  await writing
  const { rows: written } = await database.database.asAdmin(
    `select id::int from ${acme.snapshot.placement?.schema}.todos order by id`,
  )
  await waitFor(() => survivor.seen.length >= written.length)
  expect(survivor.seen.map((payload) => (payload.new as { id: number }).id)).toEqual(written.map(({ id }) => id))
  await database.write(acme, 'delete from todos')
})

test('while nothing is written for us, the slot lets the server forget', async () => {
  await watch(one, acme, { table: 'todos' })
  const slot = async () => {
    const { rows } = await database.database.asAdmin(
      `select confirmed_flush_lsn::text as lsn from pg_replication_slots where database = current_database()`,
    )
    return rows[0]?.lsn as string
  }
  const before = await slot()
  await database.database.asAdmin('create table public.unpublished (x int)')
  await database.database.asAdmin('insert into public.unpublished select generate_series(1, 1000)')
  const { rows } = await database.database.asAdmin('select pg_current_wal_lsn()::text as lsn')
  await waitFor(async () => {
    const { rows: answer } = await database.database.asAdmin(
      `select '${await slot()}'::pg_lsn >= '${rows[0].lsn}'::pg_lsn as passed`,
    )
    return answer[0].passed as boolean
  }, 20_000)
  expect(await slot()).not.toBe(before)
})

test('who listens to every table hears of one that is made later', async () => {
  const all = await watch(one, acme, { event: 'INSERT' })
  await database.addTable(acme, 'later', 'id int primary key', 'true')
  await waitFor(async () => {
    const { rows } = await database.database.asAdmin(`select from pg_publication_tables where tablename = 'later'`)
    return rows.length === 1
  })
  await database.write(acme, `insert into later values (1)`)
  await waitFor(() => all.seen.length === 1)
  expect(all.seen[0]).toMatchObject({ table: 'later', new: { id: 1 } })
})

test('a slot that was lost is made anew, and subscribers are told', async () => {
  const near = await watch(one, acme, { table: 'todos' })
  const far = await watch(two, acme, { table: 'todos' })
  const admin = database.database
  await waitFor(async () => {
    await admin.asAdmin(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name in ('aerodb-realtime-lead', 'aerodb-realtime-stream') and datname = current_database()`)
    const { rows } = await admin.asAdmin(
      `select slot_name from pg_replication_slots where database = current_database() and not active`,
    )
    if (rows.length === 0) return false
    return admin.asAdmin(`select pg_drop_replication_slot('${rows[0].slot_name}')`).then(
      () => true,
      () => false,
    )
  })
  for (const { system } of [near, far])
    await waitFor(() => system.some(({ message }) => message.includes('missed')) && system.at(-1)?.status === 'ok')
  await database.write(acme, `insert into todos values (500)`)
  await waitFor(() => near.seen.length === 1 && far.seen.length === 1)
  await database.write(acme, 'delete from todos')
})

test('a transaction of many rows arrives whole and in order', async () => {
  const { seen } = await watch(two, acme, { table: 'todos', event: 'INSERT' })
  await database.write(acme, `insert into todos select generate_series(1000, 3499)`)
  await waitFor(() => seen.length === 2_500, 20_000)
  expect(seen.map((payload) => (payload.new as { id: number }).id)).toEqual(
    Array.from({ length: 2_500 }, (_, n) => 1_000 + n),
  )
})
