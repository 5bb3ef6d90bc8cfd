import pg from 'pg'
import { Connection } from '../postgres/connection.ts'
import type { Statement } from '../postgres/statement.ts'

/**
 * What the tenant's context costs, on one row by its key over 8 connections: `node backend/bench/context-cost.ts <url> [seconds]`.
 * The ways take turns in short slices, so that what else the machine does falls on all alike. CPU is this process's.
 */
const [url, secondsText = '8'] = process.argv.slice(2)
if (url === undefined) throw new Error('usage: node backend/bench/context-cost.ts <administrator url> [seconds each]')
const CONNECTIONS = 8
const SLICE_MS = 250
const SET = `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), set_config('app.role', $3, true), \
set_config('request.jwt.claims', $4, true)`
const READ = 'select json_agg(t)::text from (select id, name from public.context_cost where id = $1) t'
const context = ['pg_read_all_data', 'ten_01k3zq8v5w9r2m4n6p8s0t1xyz', 'anon', '{"role":"anon"}']

const admin = new pg.Client({ connectionString: url })
await admin.connect()
await admin.query(`drop table if exists context_cost; create table context_cost (id int primary key, name text);
  insert into context_cost select i, 'name ' || i from generate_series(1, 10000) i`)

type Way = { name: string; workers: number; run: (worker: number) => Promise<unknown>; close: () => Promise<unknown> }
const id = () => String(1 + Math.floor(Math.random() * 10_000))
const ways: Way[] = []

const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect()))
const client = (worker: number) => clients[worker % CONNECTIONS] as pg.Client
const read = (worker: number) => client(worker).query({ name: 'read', text: READ, values: [id()] })
ways.push({ name: 'plain prepared select', workers: CONNECTIONS, run: read, close: async () => {} })
ways.push({
  name: 'begin; set_config; select; commit, one after another',
  workers: CONNECTIONS,
  run: async (worker) => {
    await client(worker).query('begin')
    await client(worker).query({ name: 'set', text: SET, values: context })
    await read(worker)
    await client(worker).query('commit')
  },
  close: () => Promise.all(clients.map((one) => one.end())),
})
for (const depth of [1, 4, 8]) {
  const target = targetOf(url)
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () =>
      Connection.open({
        target,
        applicationName: 'context-cost',
        statementTimeoutMs: 5_000,
        maxPreparedStatements: 10,
        onLost: () => {},
      }),
    ),
  )
  ways.push({
    name: `set_config and select under one Sync, ${depth} in flight`,
    workers: CONNECTIONS * depth,
    run: (worker) =>
      send(connections[worker % CONNECTIONS] as Connection, [
        { text: SET, values: context },
        { text: READ, values: [id()] },
      ]),
    close: () => Promise.all(connections.map((one) => one.end())),
  })
}

const totals = ways.map(() => ({ count: 0, wallMs: 0, cpuUs: 0 }))
for (let slice = 0; slice < (Number(secondsText) * 1_000) / SLICE_MS; slice++)
  for (const [i, way] of ways.entries()) {
    const total = totals[i] as (typeof totals)[number]
    const [startedMs, cpu] = [performance.now(), process.cpuUsage()]
    const until = startedMs + SLICE_MS
    await Promise.all(
      Array.from({ length: way.workers }, async (_, worker) => {
        while (performance.now() < until) {
          await way.run(worker)
          total.count += 1
        }
      }),
    )
    const spent = process.cpuUsage(cpu)
    total.wallMs += performance.now() - startedMs
    total.cpuUs += spent.user + spent.system
  }
for (const [i, way] of ways.entries()) {
  const { count, wallMs, cpuUs } = totals[i] as (typeof totals)[number]
  console.log(`| ${way.name} | ${Math.round((count * 1_000) / wallMs)} | ${(cpuUs / count).toFixed(1)} |`)
}
for (const way of ways) await way.close()
await admin.query('drop table context_cost')
await admin.end()

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: url })
  await made.connect()
  return made
}

function targetOf(text: string) {
  const { hostname, port, pathname, username, password } = new URL(text)
  return {
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  }
}

function send(connection: Connection, statements: Statement[]): Promise<unknown> {
  return new Promise((resolve, reject) =>
    connection.send(statements, (fault, outcome) => (fault === undefined ? resolve(outcome) : reject(fault))),
  )
}
