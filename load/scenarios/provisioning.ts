import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CreatedTenant, PlatformClient } from '../platform-client.ts'
import type { Scenario, ScenarioContext, Verdict } from '../scenario.ts'
import { percentile } from '../statistics.ts'

/** How many of each are made one after the other, and how long the 95th percentile may be: floor of the contract, goal of ours. */
const DEGREES = [
  { isolation: 'schema', count: 60, floorMs: 5_000, goalMs: 100 },
  { isolation: 'database', count: 20, floorMs: 30_000, goalMs: 1_000 },
  { isolation: 'cluster', count: 10, floorMs: 300_000, goalMs: 5_000 },
] as const
const WAKES = 6
const WAKE_GOAL_MS = 300
const FAILOVERS = 6
const HANGS = 3
const FAILOVER_GOAL_MS = 5_000
/** Long enough that a tenant pauses between two looks, short enough to wait for. */
const PAUSE_AFTER_SECONDS = 2
const ASLEEP_WITHIN_MS = 60_000
/** A paused tenant's server is stopped a moment after it is told to be paused. */
const STOPS_WITHIN_MS = 1_500

/** How long a client waits for what the platform makes for it: from the call until the tenant's first request is answered. */
export const provisioning: Scenario = {
  name: 'provisioning',
  title: 'create to first answer on each isolation, wake of a paused tenant, failover of a cluster',
  env: { AERODB_PAUSE_AFTER_SECONDS: String(PAUSE_AFTER_SECONDS) },
  run: async (context) => {
    const run = randomBytes(3).toString('hex')
    const verdicts: Verdict[] = []
    const figures: [string, string][] = []
    let asleep: CreatedTenant | undefined
    let cluster: CreatedTenant | undefined
    for (const { isolation, count, floorMs, goalMs } of DEGREES) {
      const took: number[] = []
      for (let i = 0; i < count; i++) {
        const startedMs = performance.now()
        const tenant = await context.client.createTenant(`${isolation}-${run}-${i}`, { plan: 'enterprise', isolation })
        await context.client.demand(tenant.name, '/rest/v1/', { key: tenant.keys.service })
        took.push(performance.now() - startedMs)
        if (isolation === 'database') asleep = tenant
        if (isolation === 'cluster') cluster = tenant
        // What is not measured again gives its memory back, before the next one is measured.
        if (i < count - 1 && isolation !== 'schema') await purge(context.client, tenant)
      }
      context.onProgress(`${count} tenants of ${isolation} isolation made`)
      verdicts.push(judge(`create with ${isolation} isolation`, took, floorMs))
      figures.push(tell(`create, ${isolation}`, took, goalMs))
    }
    if (asleep !== undefined) figures.push(tell('wake', await measureWakes(context, asleep), WAKE_GOAL_MS))
    if (cluster !== undefined && context.platform.directory !== undefined) {
      const { directory } = context.platform
      const killed = await measureFailovers(context, cluster, directory, FAILOVERS, 'SIGKILL')
      figures.push(tell('longest time without an acknowledged write, primary killed', killed, FAILOVER_GOAL_MS))
      const hung = await measureFailovers(context, cluster, directory, HANGS, 'SIGSTOP')
      figures.push(tell('the same, primary hung', hung, FAILOVER_GOAL_MS))
    }
    return { verdicts, figures }
  },
}

async function purge(client: PlatformClient, tenant: CreatedTenant): Promise<void> {
  const path = `/v1/tenants/${tenant.tenant_id}`
  const { operation_id } = (await client.control(`${path}?purge=true`, { method: 'DELETE' })) as {
    operation_id: string
  }
  for (const deadline = performance.now() + ASLEEP_WITHIN_MS; performance.now() < deadline; await sleep(100))
    if (((await client.control(`/v1/operations/${operation_id}`)) as { status: string }).status !== 'running') return
}

/** From the request to a paused tenant until its answer. */
async function measureWakes({ client, onProgress }: ScenarioContext, tenant: CreatedTenant): Promise<number[]> {
  const took: number[] = []
  for (let i = 0; i < WAKES; i++) {
    await waitForStatus(client, tenant, 'paused')
    await sleep(STOPS_WITHIN_MS)
    const startedMs = performance.now()
    await client.demand(tenant.name, '/rest/v1/', { key: tenant.keys.service })
    took.push(performance.now() - startedMs)
  }
  onProgress(`${WAKES} wakes`)
  return took
}

async function waitForStatus(client: PlatformClient, tenant: CreatedTenant, wanted: string): Promise<void> {
  for (const deadline = performance.now() + ASLEEP_WITHIN_MS; ; await sleep(200)) {
    const { status } = (await client.control(`/v1/tenants/${tenant.tenant_id}`)) as { status: string }
    if (status === wanted) return
    if (performance.now() > deadline) throw new Error(`${tenant.name} is ${status}, not ${wanted}`)
  }
}

type Node = { node: number; role: string; state: string }

/** The longest time in which a writer of four got no acknowledgement, for each primary that got `signal`, all its processes. */
async function measureFailovers(
  { client, onProgress }: ScenarioContext,
  tenant: CreatedTenant,
  directory: string,
  times: number,
  signal: 'SIGKILL' | 'SIGSTOP',
): Promise<number[]> {
  const key = tenant.keys.service
  const name = `writes_${signal.toLowerCase()}`
  await client.demand(tenant.name, '/schema/v1/collections', {
    key,
    body: { name, columns: [{ name: 'body', type: 'text' }] },
  })
  const listNodes = async () =>
    ((await client.control(`/v1/tenants/${tenant.tenant_id}/nodes`)) as { data: Node[] }).data
  const gaps: number[] = []
  for (let i = 0; i < times; i++) {
    let longestMs = 0
    let isStopped = false
    const writers = Array.from({ length: 4 }, async () => {
      for (let lastMs = performance.now(); !isStopped; ) {
        const { status } = await client.call(tenant.name, `/rest/v1/${name}`, { key, body: { body: 'x' } })
        if (status !== 201) continue
        longestMs = Math.max(longestMs, performance.now() - lastMs)
        lastMs = performance.now()
      }
    })
    await sleep(300)
    const primary = (await listNodes()).find(({ role }) => role === 'primary')?.node
    const folder = join(directory, 'tenants', `${tenant.tenant_id.replace('ten_', 'clu_')}-${primary}`)
    const pid = Number((await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')[0])
    if (!(pid > 1)) throw new Error('The primary does not run')
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    for (const one of [pid, ...children.trim().split(' ').map(Number)]) if (one > 1) signalIfThere(one, signal)
    for (const deadline = performance.now() + ASLEEP_WITHIN_MS; ; await sleep(200)) {
      const nodes = await listNodes()
      const isWhole = nodes.every(({ state }) => state === 'serving' || state === 'streaming')
      if (isWhole && nodes.find(({ role }) => role === 'primary')?.node !== primary) break
      if (performance.now() > deadline) throw new Error('The cluster is not whole again')
    }
    isStopped = true
    await Promise.all(writers)
    gaps.push(longestMs)
  }
  onProgress(`${times} failovers after ${signal}`)
  return gaps
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself meanwhile.
  }
}

function judge(what: string, took: readonly number[], floorMs: number): Verdict {
  const p95 = percentile(took, 0.95)
  return { promise: `${what}: p95 under ${floorMs} ms`, measured: `${p95.toFixed(0)} ms`, held: p95 < floorMs }
}

function tell(what: string, took: readonly number[], goalMs: number): [string, string] {
  const [p50, p95, max] = [0.5, 0.95, 1].map((share) => percentile(took, share).toFixed(0))
  return [what, `p50 ${p50} ms, p95 ${p95} ms, longest ${max} ms of ${took.length} (goal: p95 ${goalMs} ms)`]
}
