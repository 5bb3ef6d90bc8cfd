import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../runtime/free-port.ts'
import type { Group, RunContext } from './group.ts'
import { openIdleSockets } from './idle-sockets.ts'
import { PinnedProcess } from './pinned-process.ts'
import { readLargestRssBytes } from './process-usage.ts'
import { BENCH_DOMAIN, type LoadTenant } from './request-mix.ts'
import { withStubUpstream } from './stub-surroundings.ts'
import { renderLine, wholeNumber } from './table.ts'
import type { ProxyContext, YardstickName } from './yardstick.ts'
import { makeGateway, shared } from './yardsticks/gateway.ts'

const IDLE_SERVER = fileURLToPath(new URL('./servers/idle-websockets.ts', import.meta.url))
const SOCKETS = 10_000
const TENANTS = 10_000
/** V8 collects an idle process's garbage some seconds after its last work. */
const SETTLE_MS = 25_000
/** Of the process: what a worker opens beside sockets. */
const OTHER_HANDLES = 500

const NAMES: readonly YardstickName[] = [
  { name: 'memory-sockets', title: 'gateway, one idle WebSocket of 10 000' },
  { name: 'memory-tenants', title: 'gateway, one worker with 10 000 tenants cached' },
]

type Figure = { title: string; measured: string; promised: string; isMet: boolean }

/** What a gateway's worker holds in memory: for each idle WebSocket, and with many tenants cached. */
export const memoryGroup: Group = {
  name: 'memory',
  yardsticks: NAMES,
  run: (wanted, run) =>
    withStubUpstream(run, async (context) => {
      const figures: Figure[] = []
      if (wanted.has('memory-sockets')) figures.push(await measureSockets(run, context))
      if (wanted.has('memory-tenants')) figures.push(await measureTenants(run, context))
      return {
        group: 'memory',
        title: 'Memory of a gateway worker',
        bases: [],
        support: context.support.title,
        rows: [],
        notes: [renderFigures(figures)],
      }
    }),
}

async function measureSockets(run: RunContext, context: ProxyContext): Promise<Figure> {
  const upstreamPort = await findFreePort()
  const backend = await PinnedProcess.start({
    program: process.execPath,
    args: [IDLE_SERVER, String(upstreamPort)],
    core: run.cores.load,
    readyPort: upstreamPort,
    ipc: true,
  })
  const gateway = await makeGateway({ name: 'memory-sockets', title: '', tenants: 10, backend: shared }).start({
    ...context,
    upstreamPort,
  })
  try {
    const [tenant] = gateway.tenants
    if (tenant === undefined) throw new Error('unreachable')
    // A worker holds two for each WebSocket; the limit is inherited by all that are started here.
    const room = Math.floor(((await readHandleLimit()) - OTHER_HANDLES) / 2)
    const count = Math.min(SOCKETS, room)
    const target = `/realtime/v1/websocket?apikey=${tenant.key}&vsn=1.0.0`
    const host = `${tenant.name}.${BENCH_DOMAIN}`
    // Some first: what the first ones make grow once is no cost of each.
    const first = await openIdleSockets(gateway.port, Math.min(500, count / 10), host, target)
    run.onProgress(`memory-sockets: ${first.length} sockets, settling`)
    await sleep(SETTLE_MS)
    const before = await readLargestRssBytes(await gateway.pids())
    const more = await openIdleSockets(gateway.port, count - first.length, host, target)
    run.onProgress(`memory-sockets: ${more.length} more sockets, settling`)
    await sleep(SETTLE_MS)
    const after = await readLargestRssBytes(await gateway.pids())
    for (const socket of [...first, ...more]) socket.destroy()
    const each = (after - before) / more.length
    return {
      title: `each of ${wholeNumber(first.length + more.length)} idle WebSockets (RSS ${mega(before)} with ${first.length}, ${mega(after)} with all)`,
      measured: `${(each / 1_000).toFixed(1)} kB`,
      promised: 'under 20 kB',
      isMet: each < 20_000,
    }
  } finally {
    await gateway.stop()
    await backend.stop()
  }
}

async function measureTenants(run: RunContext, context: ProxyContext): Promise<Figure> {
  const gateway = await makeGateway({ name: 'memory-tenants', title: '', tenants: TENANTS, backend: shared }).start(
    context,
  )
  try {
    await askEach(gateway.port, gateway.tenants.slice(0, 10))
    await sleep(SETTLE_MS)
    const few = await readLargestRssBytes(await gateway.pids())
    run.onProgress(`memory-tenants: asking ${gateway.tenants.length} tenants`)
    for (let round = 0; round < 2; round++) await askEach(gateway.port, gateway.tenants)
    await sleep(SETTLE_MS)
    const all = await readLargestRssBytes(await gateway.pids())
    return {
      title: `worker with ${wholeNumber(TENANTS)} tenants cached, each asked twice (with ten: ${mega(few)})`,
      measured: mega(all),
      promised: 'under 200 MB',
      isMet: all < 200e6,
    }
  } finally {
    await gateway.stop()
  }
}

async function askEach(port: number, tenants: readonly LoadTenant[]): Promise<void> {
  const waiting = [...tenants]
  const ask = ({ name, key }: LoadTenant): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { Host: `${name}.${BENCH_DOMAIN}`, apikey: key }
      request({ host: '127.0.0.1', port, path: '/rest/v1/todos?id=eq.42', headers }, (response) => {
        response.resume()
        response.once('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`)),
        )
      })
        .once('error', reject)
        .end()
    })
  const work = async (): Promise<void> => {
    for (let tenant = waiting.pop(); tenant !== undefined; tenant = waiting.pop()) await ask(tenant)
  }
  await Promise.all(Array.from({ length: 32 }, work))
}

/** How many files this process, and what it starts, may have open. */
async function readHandleLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1_024)
}

function mega(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

function renderFigures(figures: readonly Figure[]): string {
  const lines = figures.map(({ title, measured, promised, isMet }) => [
    title,
    measured,
    promised,
    isMet ? 'met' : 'not met',
  ])
  return [['', 'measured', 'promised', ''], ['---', '---:', '---:', '---'], ...lines].map(renderLine).join('\n')
}
