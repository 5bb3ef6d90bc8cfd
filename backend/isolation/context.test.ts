import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Connection } from '../postgres/connection.ts'
import { contextStatement, type Principal } from '../postgres/principal.ts'
import type { Outcome, Statement } from '../postgres/statement.ts'
import { TenantDatabase, type TestTenant } from '../test-support/tenant-database.ts'

const WHO = `select current_user::text, current_setting('app.tenant_id', true), current_setting('app.role', true), \
current_setting('request.jwt.claims', true)`

let database: TenantDatabase
let connection: Connection
let tenants: TestTenant[]

beforeAll(async () => {
  database = await TenantDatabase.create()
  tenants = [await database.addTenant('a'), await database.addTenant('b'), await database.addTenant('c')]
  const { host, port, database: name, request_login } = database.record
  connection = await Connection.open({
    target: { host, port, database: name, user: request_login.user, password: 'secret' },
    applicationName: 'context-test',
    statementTimeoutMs: 1_000,
    maxPreparedStatements: 3,
    onLost: () => {},
  })
})

afterAll(async () => {
  await connection?.end()
  await database?.drop()
})

const principal = (tenant: TestTenant): Principal => ({
  tenantId: tenant.tenantId,
  schema: tenant.schema,
  databaseRole: tenant.schema,
  role: 'authenticated',
  hasOwnSql: false,
  claims: JSON.stringify({ sub: tenant.name, role: 'authenticated' }),
})

const send = (...statements: Statement[]) =>
  new Promise<Outcome>((resolve, reject) =>
    connection.send(statements, (fault, outcome) => (fault === undefined ? resolve(outcome) : reject(fault))),
  )
const as = (tenant: TestTenant, text: string, ...values: string[]) =>
  send(contextStatement(principal(tenant)), { text, values })
const mine = (tenant: TestTenant) => [
  tenant.schema,
  tenant.tenantId,
  'authenticated',
  JSON.stringify({ sub: tenant.name, role: 'authenticated' }),
]
const nobody = () => [database.record.request_login.user, '', '', '']
const tenant = (i: number): TestTenant => tenants[i % tenants.length] as TestTenant

test('many transactions in flight on one connection each see their own tenant', async () => {
  const outcomes = await Promise.all(Array.from({ length: 60 }, (_, i) => as(tenant(i), WHO)))
  outcomes.forEach((outcome, i) => {
    expect(outcome.rows).toEqual([mine(tenant(i))])
  })
})

test('without a context there is nobody, whatever ran before: success, error, timeout or cancel', async () => {
  await as(tenant(0), WHO)
  expect((await send({ text: WHO, values: [] })).rows).toEqual([nobody()])

  const inFlight = [
    as(tenant(0), 'select 1 / $1::int', '0'),
    send({ text: WHO, values: [] }),
    as(tenant(1), 'select this is no sql'),
    as(tenant(1), WHO),
    as(tenant(2), 'select pg_sleep($1::float)', '30'),
    send({ text: WHO, values: [] }),
  ]
  const [divided, afterDivided, garbled, afterGarbled, slept, afterSlept] = await Promise.allSettled(inFlight)
  expect(divided).toMatchObject({ status: 'rejected', reason: { code: '22012' } })
  expect(afterDivided).toMatchObject({ status: 'fulfilled', value: { rows: [nobody()] } })
  expect(garbled).toMatchObject({ status: 'rejected', reason: { code: '42601' } })
  expect(afterGarbled).toMatchObject({ status: 'fulfilled', value: { rows: [mine(tenant(1))] } })
  expect(slept).toMatchObject({ status: 'rejected', reason: { code: '57014' } })
  expect(afterSlept).toMatchObject({ status: 'fulfilled', value: { rows: [nobody()] } })
})

test('a cancel in mid-pipeline hits one transaction and leaves nothing behind', async () => {
  const sleeping = as(tenant(0), 'select pg_sleep($1::float), $2::text', '20', 'sleeper')
  const behind = [as(tenant(1), WHO), send({ text: WHO, values: [] })]
  const admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  const settled = sleeping.catch((fault: { code: string }) => fault.code)
  for (;;) {
    const cancelled = await admin.query(
      `select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'context-test' and query like '%pg_sleep%' and state = 'active'`,
    )
    if (cancelled.rowCount !== 0) break
  }
  await admin.end()
  expect(await settled).toBe('57014')
  expect((await behind[0])?.rows).toEqual([mine(tenant(1))])
  expect((await behind[1])?.rows).toEqual([nobody()])
})

test('a statement that fails undoes the ones before it in its transaction', async () => {
  await database.asOwner(
    `create table ${tenant(0).schema}.t (a int); alter table ${tenant(0).schema}.t disable row level security`,
  )
  const insert = { text: `insert into ${tenant(0).schema}.t values ($1::int)`, values: ['1'] }
  await expect(
    send(contextStatement(principal(tenant(0))), insert, { text: 'select 1/0', values: [] }),
  ).rejects.toThrow()
  expect((await as(tenant(0), `select count(*)::text from ${tenant(0).schema}.t`)).rows).toEqual([['0']])
})

test('prepared statements survive errors, eviction and reuse, and stay bounded on the server', async () => {
  const texts = Array.from({ length: 12 }, (_, i) => `select $1::int / $2::int + ${i}`)
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.allSettled(
      texts.map((text, i) => as(tenant(i + round), text, '6', (i + round) % 3 === 0 ? '0' : '2')),
    )
    answers.forEach((answer, i) => {
      if ((i + round) % 3 === 0) expect(answer).toMatchObject({ status: 'rejected', reason: { code: '22012' } })
      else expect(answer).toMatchObject({ status: 'fulfilled', value: { rows: [[String(3 + i)]] } })
    })
  }
  const { rows } = await send({ text: 'select count(*)::text from pg_prepared_statements', values: [] })
  expect(Number(rows[0]?.[0])).toBeLessThanOrEqual(4)
})
