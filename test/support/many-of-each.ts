import { randomBytes, randomInt } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { request } from 'undici'
import { isPortFree } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { endProcess } from '../../runtime/processes.ts'
import { Service } from '../../runtime/service-process.ts'
import { makeKey } from '../../tenancy/key.ts'
import type { Answer, Tenant } from './platform.ts'
import { TestRedisCluster } from './redis-cluster.ts'

/** Of each service so many. */
const COUNTS = { metering: 2, control: 2, backend: 2, gateway: 3 } as const
export type Kind = keyof typeof COUNTS
type PostgresName = 'metadata' | 'shared-0' | 'shared-1'
const DOMAIN = 'localhost'
const SETTINGS = { max_connections: '200', wal_level: 'logical', max_locks_per_transaction: '256', jit: 'off' }

type Replica = { kind: Kind; index: number; port: number; adminPort: number; service: Service; pids: readonly number[] }

/**
 * The platform as it runs past one machine: three gateways, two controls, sinks and backends, two servers of the shared tier
 * beside that of the metadata, and a Redis Cluster of six, each a process of its own that is started again when it dies.
 */
export class ManyOfEach {
  readonly platformKey = makeKey('platform')
  readonly redis: TestRedisCluster
  readonly #directory: string
  readonly #replicas: Replica[] = []
  readonly #postgres = new Map<PostgresName, PostgresServer>()
  readonly #revivals = new Set<Promise<void>>()
  #closing = false
  /** What supervision had to say. */
  readonly notices: string[] = []

  private constructor(directory: string, redis: TestRedisCluster) {
    this.#directory = directory
    this.redis = redis
  }

  static async start(): Promise<ManyOfEach> {
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-many-'))
    await chmod(directory, 0o711)
    const many = new ManyOfEach(directory, await TestRedisCluster.start())
    try {
      await many.#startAll()
      return many
    } catch (fault) {
      await many.close()
      throw fault
    }
  }

  get metadataUrl(): string {
    return this.#server('metadata').url()
  }

  /** Where usage waits for the ledger. */
  get spools(): string[] {
    return this.#replicas
      .filter(({ kind }) => kind === 'gateway' || kind === 'backend')
      .map(({ kind, index }) => join(this.#directory, `${kind}-${index}`, 'spool'))
  }

  gateways(): number[] {
    return this.#of('gateway').map(({ port }) => port)
  }

  /** Those that say that they are ready, as a load balancer finds out. */
  async readyGateways(): Promise<number[]> {
    const asked = this.#of('gateway').map(async ({ port, adminPort }) => {
      const response = await request(`http://127.0.0.1:${adminPort}/readyz`, { reset: true, headersTimeout: 1_000 })
      await response.body.dump()
      return response.statusCode === 200 ? port : undefined
    })
    const ready = await Promise.allSettled(asked)
    return ready.map((one) => (one.status === 'fulfilled' ? one.value : undefined)).filter((port) => port !== undefined)
  }

  /** Kills a replica with all its processes. @returns once another has taken its place. */
  async kill(kind: Kind, index: number): Promise<void> {
    await this.#replace(kind, index, (replica) => {
      for (const pid of new Set([replica.service.pid ?? 0, ...replica.pids])) killNow(pid)
    })
  }

  /** Lets a replica end what it has (SIGTERM). @returns once another has taken its place. */
  async roll(kind: Kind, index: number): Promise<void> {
    await this.#replace(kind, index, (replica) => void process.kill(replica.service.pid ?? 0, 'SIGTERM'))
  }

  /** Kills a database server's postmaster, or shuts it down. @returns once it is back. */
  async restartPostgres(name: PostgresName, how: 'SIGKILL' | 'SIGINT'): Promise<void> {
    const server = this.#server(name)
    const before = server.pid ?? 0
    await endProcess(before, how, 20_000)
    await until(`${name} to come back`, async () => server.pid !== before && (await answers(server)))
  }

  /** A request to `<host>.<domain>` at a gateway, on a connection of its own. @throws when the connection fails. */
  async call(
    port: number,
    host: string,
    path: string,
    options: { method?: string; key?: string; body?: unknown } = {},
  ): Promise<Answer> {
    const hasBody = options.body !== undefined
    const response = await request(`http://127.0.0.1:${port}${path}`, {
      method: (options.method ?? (hasBody ? 'POST' : 'GET')) as 'GET',
      reset: true,
      headers: {
        host: `${host}.${DOMAIN}`,
        ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
        ...(hasBody ? { 'content-type': 'application/json' } : {}),
      },
      ...(hasBody ? { body: JSON.stringify(options.body) } : {}),
    })
    const text = await response.body.text()
    return { status: response.statusCode, headers: response.headers, text, json: parseJson(text) }
  }

  async createTenant(name: string): Promise<Tenant> {
    const [port = 0] = this.gateways()
    const body = { name, plan: 'enterprise' }
    const answer = await this.call(port, 'control', '/v1/tenants', { key: this.platformKey, body })
    if (answer.status !== 201) throw new Error(`Creating ${name} answered ${answer.status}: ${answer.text}`)
    return answer.json as Tenant
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const kind of ['gateway', 'backend', 'control', 'metering'] as const)
      await Promise.all(this.#of(kind).map(({ service }) => service.stop()))
    await Promise.all(this.#revivals)
    await Promise.all([...this.#postgres.values()].map((server) => server.stop()))
    await this.redis.close()
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  async #startAll(): Promise<void> {
    await Promise.all((['metadata', 'shared-0', 'shared-1'] as const).map((name) => this.#startPostgres(name)))
    const ports: Record<Kind, number[]> = { metering: [], control: [], backend: [], gateway: [] }
    for (const kind of Object.keys(COUNTS) as Kind[])
      for (let i = 0; i < COUNTS[kind]; i++) ports[kind].push(await choosePort())
    const adminPorts = await Promise.all(ports.gateway.map(choosePort))
    const common = {
      AERODB_INTERNAL_SECRET: randomBytes(32).toString('base64url'),
      AERODB_ENCRYPTION_KEYS: randomBytes(32).toString('base64url'),
      AERODB_DOMAIN: DOMAIN,
      AERODB_REDIS_URL: this.redis.url,
      AERODB_LOG_LEVEL: 'info',
    }
    const url = (port: number | undefined) => `http://127.0.0.1:${port}`
    const gateways = ports.gateway.map(url).join(',')
    const backends = ports.backend.map(url).join(',')
    // Where a service knows one address of another, replicas are spread over the other's.
    const nth = (kind: Kind, i: number) => url(ports[kind][i % COUNTS[kind]])
    const databases = {
      AERODB_DATABASE_URL: this.metadataUrl,
      AERODB_SHARED_DATABASE_URLS: `${this.#server('shared-0').url()},${this.#server('shared-1').url()}`,
    }
    const environments: Record<Kind, (i: number, port: string) => Promise<Record<string, string>>> = {
      metering: async (_i, port) => ({ AERODB_DATABASE_URL: this.metadataUrl, AERODB_METERING_PORT: port }),
      control: async (i, port) => ({
        ...databases,
        AERODB_PLATFORM_KEY: this.platformKey,
        AERODB_CONTROL_PORT: port,
        AERODB_METERING_URL: nth('metering', i),
        AERODB_BACKEND_URLS: backends,
        AERODB_PROBE_URLS: gateways,
        AERODB_ISOLATIONS: 'schema',
      }),
      backend: async (_i, port) => ({ AERODB_BACKEND_PORT: port }),
      gateway: async (i, port) => ({
        AERODB_GATEWAY_PORT: port,
        AERODB_GATEWAY_ADMIN_PORT: String(adminPorts[i]),
        AERODB_GATEWAY_STOP_DELAY_MS: '3000',
        AERODB_GATEWAY_WORKERS: '1',
        AERODB_CONTROL_URL: nth('control', i),
        AERODB_METERING_URL: nth('metering', i),
        AERODB_BACKEND_URLS: backends,
      }),
    }
    for (const kind of Object.keys(COUNTS) as Kind[])
      for (const [index, port] of ports[kind].entries()) {
        const own = await environments[kind](index, String(port))
        const adminPort = kind === 'gateway' ? adminPorts[index] : undefined
        await this.#startReplica(kind, index, [port, adminPort ?? port], { ...common, ...own })
      }
  }

  async #startReplica(
    kind: Kind,
    index: number,
    [port, adminPort]: readonly [number, number],
    env: Record<string, string>,
  ): Promise<void> {
    const name = `${kind}-${index}`
    const service = new Service({
      name,
      program: `${kind}/main.ts`,
      env: { ...env, AERODB_DATA_DIR: join(this.#directory, name) },
      logDirectory: join(this.#directory, 'logs'),
      onReady: (message, pid) => {
        replica.pids = message.pids ?? [pid]
      },
      onNotice: (text) => this.notices.push(text),
      onSpawn: () => {},
    })
    const replica: Replica = { kind, index, port, adminPort, service, pids: [] }
    this.#replicas.push(replica)
    await service.start(60_000)
  }

  async #replace(kind: Kind, index: number, end: (replica: Replica) => void): Promise<void> {
    const replica = this.#of(kind).find((one) => one.index === index)
    if (replica === undefined) throw new Error(`There is no ${kind}-${index}`)
    const before = replica.service.pid
    const wereHere = new Set(replica.pids)
    end(replica)
    await until(`${kind}-${index} to come back`, async () => {
      const isAnother = replica.service.pid !== undefined && replica.service.pid !== before
      return isAnother && replica.pids.length > 0 && replica.pids.every((pid) => !wereHere.has(pid))
    })
  }

  async #startPostgres(name: PostgresName): Promise<void> {
    const server = new PostgresServer({
      directory: join(this.#directory, name),
      port: await choosePort(),
      password: 'test',
      settings: SETTINGS,
      onExit: () => {
        if (this.#closing) return
        const revival: Promise<void> = server
          .start()
          .catch((fault: Error) => void this.notices.push(`${name}: ${fault.message}`))
          .finally(() => this.#revivals.delete(revival))
        this.#revivals.add(revival)
      },
    })
    this.#postgres.set(name, server)
    await server.start()
  }

  #of(kind: Kind): Replica[] {
    return this.#replicas.filter((replica) => replica.kind === kind)
  }

  #server(name: PostgresName): PostgresServer {
    const server = this.#postgres.get(name)
    if (server === undefined) throw new Error(`${name} was not started`)
    return server
  }
}

/** Below those that the system gives to outgoing connections: while a service is away nobody else may take its port. */
async function choosePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000)
    if (!chosen.has(port) && (await isPortFree(port))) {
      chosen.add(port)
      return port
    }
  }
}
const chosen = new Set<number>()

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 90_000; !(await isSo()); ) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function answers(server: PostgresServer): Promise<boolean> {
  const client = new pg.Client({ connectionString: server.url(), connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  return client.connect().then(
    () => client.end().then(() => true),
    () => false,
  )
}

function killNow(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, 'SIGKILL')
  } catch {
    // It followed the one before.
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
