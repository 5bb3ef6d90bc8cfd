import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findFreePort } from '../../runtime/free-port.ts'
import { findRedisProgram, RedisServer } from '../../runtime/redis-server.ts'

const MASTERS = 3
const PASSWORD = 'test'
const SLOTS = 16_384
/** After so long without an answer a node counts as failed: short, so that tests do not wait. */
const NODE_TIMEOUT_MS = 1_000

/** A real Redis Cluster of the test's own: three masters and a replica of each, six `redis-server` processes. */
export class TestRedisCluster {
  readonly #directory: string
  readonly #nodes: RedisServer[] = []
  /** The port of the first node's cluster bus. */
  #firstBusPort = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async start(): Promise<TestRedisCluster> {
    const program = await findRedisProgram()
    if (program === undefined) throw new Error('The tests need a redis-server: `npm test` installs one.')
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-redis-cluster-'))
    const cluster = new TestRedisCluster(directory)
    try {
      for (let i = 0; i < 2 * MASTERS; i++) {
        const { node, busPort } = await startNode(program, join(directory, String(i)))
        cluster.#nodes.push(node)
        if (i === 0) cluster.#firstBusPort = busPort
      }
      await cluster.#join()
      return cluster
    } catch (fault) {
      await cluster.close()
      throw fault
    }
  }

  get urls(): string[] {
    return this.#nodes.map((node) => node.url)
  }

  /** As in `AERODB_REDIS_URL`. */
  get url(): string {
    return this.urls.join(',')
  }

  /** Kills the master that holds `key` with SIGKILL. @returns when its replica has taken over. */
  async failOver(key: string): Promise<void> {
    const { master, slot } = await this.masterOf(key)
    if (master.pid === undefined) throw new Error('The master is not running')
    process.kill(master.pid, 'SIGKILL')
    const others = this.#nodes.filter((node) => node !== master)
    await waitUntil('a replica to take over', async () => {
      const owners = await Promise.all(others.map((node) => ask(node, (client) => portOfSlot(client, slot))))
      return owners.every((port) => port !== undefined && port !== portOf(master))
    })
  }

  /** Kills the node at `port` with SIGKILL. */
  async kill(port: number | undefined): Promise<void> {
    const node = this.#nodes.find((one) => portOf(one) === port)
    if (node?.pid === undefined) throw new Error(`No node runs at ${port}`)
    process.kill(node.pid, 'SIGKILL')
  }

  /** Starts the nodes that were killed again: they come back as replicas. */
  async reviveAll(): Promise<void> {
    for (const node of this.#nodes) {
      if (node.pid !== undefined && isAlive(node.pid)) continue
      await node.start()
    }
    await this.#whenHealthy()
  }

  async masterOf(key: string): Promise<{ master: RedisServer; slot: number }> {
    const [first] = this.#nodes.filter((node) => node.pid !== undefined && isAlive(node.pid))
    if (first === undefined) throw new Error('No node is running')
    return ask(first, async (client) => {
      const slot = Number(await client.cluster('KEYSLOT', key))
      const port = await portOfSlot(client, slot)
      const master = this.#nodes.find((node) => portOf(node) === port)
      if (master === undefined) throw new Error(`Nobody holds slot ${slot}`)
      return { master, slot }
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()))
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }

  async #join(): Promise<void> {
    const [first] = this.#nodes
    if (first === undefined) throw new Error('unreachable')
    const ids = await Promise.all(
      this.#nodes.map((node) => ask(node, async (client) => String(await client.cluster('MYID')))),
    )
    for (const [i, node] of this.#nodes.entries()) {
      await ask(node, async (client) => {
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
        if (node !== first)
          await client.call('CLUSTER', 'MEET', '127.0.0.1', String(portOf(first)), String(this.#firstBusPort))
        if (i >= MASTERS) return
        const [from, to] = [i, i + 1].map((part) => Math.floor((part * SLOTS) / MASTERS))
        await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String((to ?? 0) - 1))
      })
    }
    for (const [i, node] of this.#nodes.entries()) {
      const masterId = ids[i - MASTERS]
      if (masterId === undefined) continue
      await waitUntil('a replica to know its master', () =>
        ask(node, (client) => client.cluster('REPLICATE', masterId)).then(
          () => true,
          () => false,
        ),
      )
    }
    await this.#whenHealthy()
  }

  async #whenHealthy(): Promise<void> {
    await waitUntil('the cluster to be whole', async () => {
      const states = await Promise.all(this.#nodes.map((node) => ask(node, isWhole)))
      return states.every(Boolean)
    })
  }
}

async function startNode(program: string, directory: string): Promise<{ node: RedisServer; busPort: number }> {
  for (let tries = 0; ; tries++) {
    const [port, busPort] = [await findFreePort(), await findFreePort()]
    // The bus takes the port that lies 10 000 above unless it is given one.
    const node = new RedisServer({
      program,
      port,
      password: PASSWORD,
      directory,
      settings: {
        masterauth: PASSWORD,
        'cluster-enabled': 'yes',
        'cluster-port': String(busPort),
        'cluster-config-file': 'nodes.conf',
        'cluster-node-timeout': String(NODE_TIMEOUT_MS),
        'cluster-replica-validity-factor': '0',
        'repl-diskless-sync-delay': '0',
      },
    })
    try {
      await node.start()
      return { node, busPort }
    } catch (fault) {
      if (tries >= 3) throw fault
    }
  }
}

function portOf(node: RedisServer): number {
  return Number(new URL(node.url).port)
}

/** The port of the master of a slot, as a node knows it. */
async function portOfSlot(client: Redis, slot: number): Promise<number | undefined> {
  const range = (await client.cluster('SLOTS')).find(([from, to]) => Number(from) <= slot && slot <= Number(to))
  const [, , master] = range ?? []
  return Array.isArray(master) ? Number(master[1]) : undefined
}

async function isWhole(client: Redis): Promise<boolean> {
  const [info, nodes, replication] = await Promise.all([
    client.cluster('INFO') as Promise<string>,
    client.cluster('NODES') as Promise<string>,
    client.info('replication'),
  ])
  const lines = nodes.trim().split('\n')
  return (
    info.includes('cluster_state:ok') &&
    lines.length === 2 * MASTERS &&
    lines.filter((line) => line.includes('slave')).length === MASTERS &&
    !/fail|handshake/.test(lines.map((line) => line.split(' ')[2]).join()) &&
    (replication.includes('role:master')
      ? /slave0:.*state=online/.test(replication)
      : replication.includes('master_link_status:up'))
  )
}

async function ask<Answer>(node: RedisServer, question: (client: Redis) => Promise<Answer>): Promise<Answer> {
  const client = new Redis(node.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  try {
    return await question(client)
  } finally {
    client.disconnect()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function waitUntil(what: string, isDone: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await isDone().catch(() => false)) return
    await sleep(50)
  }
  throw new Error(`Waited in vain for ${what}`)
}
