import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort, isPortFree } from '../runtime/free-port.ts'
import type { ReadyMessage } from '../runtime/lifecycle.ts'
import { PostgresServer } from '../runtime/postgres-server.ts'
import { RedisServer } from '../runtime/redis-server.ts'
import { Service } from '../runtime/service-process.ts'
import { refuseHalfRestored } from './backup/staging.ts'
import { ensureDashboard } from './build-dashboard.ts'
import {
  DataDirectory,
  type EmbeddedSecrets,
  METADATA_DATABASE,
  replaceFile,
  SHARED_DATABASE,
} from './data-directory.ts'
import { ensureDatabases } from './ensure-databases.ts'
import { endWhenLauncherIsGone, removeWhenLauncherIsGone } from './guardian.ts'
import { Remedy } from './remedy.ts'
import type { UpConfig } from './up-config.ts'

const POSTGRES_SETTINGS = {
  max_connections: '200',
  shared_buffers: '128MB',
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  // A reader of changes that is gone for good must not hold the write-ahead log for ever.
  max_slot_wal_keep_size: '1GB',
  idle_replication_slot_timeout: '10min',
  // A schema of a tenant is dropped with all its tables in one transaction.
  max_locks_per_transaction: '256',
  max_prepared_transactions: '0',
  jit: 'off',
}

/** What `<data dir>/endpoints.json` says (contract, section 2). */
export type Endpoints = {
  gateway: string
  control: string
  admin: string
  metering: string
  backend: string
  domain: string
  platform_key: string
  metadata_database_url: string
  shared_database_urls: readonly string[]
  redis_url: string
  pids: Record<string, readonly number[]>
}

type ServiceName = 'control' | 'metering' | 'backend' | 'gateway'
const PROGRAMS: Readonly<Record<ServiceName, string>> = {
  metering: 'metering/main.ts',
  control: 'control/main.ts',
  backend: 'backend/main.ts',
  gateway: 'gateway/main.ts',
}

/** Least privilege: what the others are configured with and this one must not hold. */
const WITHHELD: Readonly<Record<ServiceName, readonly string[]>> = {
  control: [],
  metering: ['AERODB_SHARED_DATABASE_URLS', 'AERODB_PLATFORM_KEY', 'AERODB_ENCRYPTION_KEYS'],
  backend: ['AERODB_DATABASE_URL', 'AERODB_SHARED_DATABASE_URLS', 'AERODB_PLATFORM_KEY'],
  gateway: ['AERODB_DATABASE_URL', 'AERODB_SHARED_DATABASE_URLS', 'AERODB_PLATFORM_KEY'],
}

/**
 * The whole platform on one machine: Postgres, Redis and our four services, each supervised and, when it dies, started
 * again. The steps are called in order by the launcher; `stop` undoes what was done, in reverse.
 */
export class Platform {
  readonly #config: UpConfig
  readonly #directory: DataDirectory
  readonly #onNotice: (text: string) => void
  readonly #services = new Map<ServiceName, Service>()
  readonly #pids: Record<string, readonly number[]> = {}
  readonly #stops: (() => Promise<void>)[] = []
  #secrets: EmbeddedSecrets | undefined
  #ports: Record<'gateway' | 'admin' | 'control' | 'metering' | 'backend', number> | undefined
  #databaseUrl = ''
  #dashboardDirectory = ''
  #sharedUrls: readonly string[] = []
  #redisUrls: readonly string[] = []
  #isServing = false
  #stopping: Promise<void> | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(config: UpConfig, onNotice: (text: string) => void) {
    this.#config = config
    this.#directory = new DataDirectory(config.AERODB_DATA_DIR)
    this.#onNotice = onNotice
  }

  get needsRedis(): boolean {
    return this.#config.AERODB_REDIS_URL === undefined
  }

  get needsPostgres(): boolean {
    return this.#config.AERODB_DATABASE_URL === undefined || this.#config.AERODB_SHARED_DATABASE_URLS === undefined
  }

  /** Takes the data directory, reads or makes the secrets, picks the ports. @throws Remedy */
  async prepare(): Promise<void> {
    await this.#directory.acquire()
    this.#stops.push(() => this.#directory.release())
    await refuseHalfRestored(this.#directory.path)
    const endpointsFile = this.#directory.file('endpoints.json')
    await rm(endpointsFile, { force: true })
    const dismiss = removeWhenLauncherIsGone(endpointsFile)
    this.#stops.push(async () => dismiss())
    this.#secrets = await this.#directory.secrets()
    const config = this.#config
    this.#ports = {
      gateway: await choosePort('AERODB_GATEWAY_PORT', config.AERODB_GATEWAY_PORT, config.AERODB_GATEWAY_HOST),
      admin: await choosePort('AERODB_GATEWAY_ADMIN_PORT', config.AERODB_GATEWAY_ADMIN_PORT),
      control: await choosePort('AERODB_CONTROL_PORT', config.AERODB_CONTROL_PORT),
      metering: await choosePort('AERODB_METERING_PORT', config.AERODB_METERING_PORT),
      backend: await choosePort('AERODB_BACKEND_PORT', config.AERODB_BACKEND_PORT),
    }
    this.#databaseUrl = config.AERODB_DATABASE_URL?.[0] ?? ''
    this.#sharedUrls = config.AERODB_SHARED_DATABASE_URLS ?? []
    this.#redisUrls = config.AERODB_REDIS_URL ?? []
  }

  /** Starts the embedded Postgres for what the configuration does not name, and makes its databases. */
  async startPostgres(): Promise<void> {
    const secrets = this.#require(this.#secrets)
    let dismiss = () => {}
    let starting: Promise<void> | undefined
    const server = new PostgresServer({
      directory: this.#directory.file('postgres'),
      port: await findFreePort(),
      password: secrets.postgres_password,
      settings: POSTGRES_SETTINGS,
      onExit: () => void this.#revive('postgres', () => (starting = start())),
    })
    const start = async () => {
      dismiss()
      await server.start()
      const pid = this.#require(server.pid)
      dismiss = endWhenLauncherIsGone(pid, 'INT')
      await this.#noteServer('postgres', pid, 'SIGINT')
    }
    this.#stops.push(async () => {
      // Another part may have failed while this one was still on its way up.
      await starting?.catch(() => {})
      await server.stop()
      dismiss()
      await this.#directory.noteChild('postgres', undefined, 'SIGINT')
    })
    starting = start()
    await starting
    await ensureDatabases(server.url(), [METADATA_DATABASE, SHARED_DATABASE])
    if (this.#databaseUrl === '') this.#databaseUrl = server.url(METADATA_DATABASE)
    if (this.#sharedUrls.length === 0) this.#sharedUrls = [server.url(SHARED_DATABASE)]
  }

  /** Builds the dashboard when it is not built yet. One that cannot be built never keeps the platform down. */
  async buildDashboard(): Promise<void> {
    try {
      this.#dashboardDirectory = process.env.AERODB_DASHBOARD_DIR ?? (await ensureDashboard())
    } catch (fault) {
      this.#onNotice(`the platform runs without its dashboard: ${(fault as Error).message}`)
    }
  }

  async startRedis(program: string): Promise<void> {
    const secrets = this.#require(this.#secrets)
    let dismiss = () => {}
    let starting: Promise<void> | undefined
    const server = new RedisServer({
      program,
      directory: this.#directory.file('redis'),
      port: await findFreePort(),
      password: secrets.redis_password,
      onExit: () => void this.#revive('redis', () => (starting = start())),
    })
    const start = async () => {
      dismiss()
      await server.start()
      const pid = this.#require(server.pid)
      dismiss = endWhenLauncherIsGone(pid, 'TERM')
      await this.#noteServer('redis', pid, 'SIGTERM')
    }
    this.#stops.push(async () => {
      // Another part may have failed while this one was still on its way up.
      await starting?.catch(() => {})
      await server.stop()
      dismiss()
      await this.#directory.noteChild('redis', undefined, 'SIGTERM')
    })
    starting = start()
    await starting
    this.#redisUrls = [server.url]
  }

  /** Starts one service and waits until it serves. */
  async startService(name: ServiceName): Promise<void> {
    const service = new Service({
      name,
      program: PROGRAMS[name],
      env: this.#serviceEnv(name),
      logDirectory: this.#directory.file('logs'),
      onReady: (message: ReadyMessage, pid) => {
        this.#pids[name] = message.pids ?? [pid]
        this.#endpointsChanged()
      },
      onNotice: this.#onNotice,
      onSpawn: (pid) => {
        if (pid === undefined) delete this.#pids[name]
        void this.#directory.noteChild(name, pid, 'SIGTERM')
      },
    })
    this.#services.set(name, service)
    this.#stops.push(() => service.stop())
    await service.start(60_000)
  }

  /** Writes `endpoints.json`: from now on the platform counts as ready. */
  async announce(): Promise<Endpoints> {
    this.#isServing = true
    const endpoints = this.endpoints()
    await replaceFile(this.#directory.file('endpoints.json'), `${JSON.stringify(endpoints, null, 2)}\n`)
    return endpoints
  }

  endpoints(): Endpoints {
    const ports = this.#require(this.#ports)
    return {
      gateway: `http://127.0.0.1:${ports.gateway}`,
      control: `http://127.0.0.1:${ports.control}`,
      admin: `http://127.0.0.1:${ports.admin}`,
      metering: `http://127.0.0.1:${ports.metering}`,
      backend: `http://127.0.0.1:${ports.backend}`,
      domain: this.#config.AERODB_DOMAIN,
      platform_key: this.#platformKey(),
      metadata_database_url: this.#databaseUrl,
      shared_database_urls: this.#sharedUrls,
      redis_url: this.#redisUrls.join(','),
      pids: this.#pids,
    }
  }

  /** Stops everything in reverse order of its start. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#isServing = false
      await this.#writing
      await rm(this.#directory.file('endpoints.json'), { force: true })
      for (const stop of this.#stops.toReversed())
        await stop().catch((fault: Error) => this.#onNotice(`while stopping: ${fault.message}`))
    })()
    return this.#stopping
  }

  #platformKey(): string {
    return this.#config.AERODB_PLATFORM_KEY ?? this.#require(this.#secrets).platform_key
  }

  #serviceEnv(service: ServiceName): Record<string, string> {
    const secrets = this.#require(this.#secrets)
    const ports = this.#require(this.#ports)
    const passedOn = Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[0].startsWith('AERODB_') && entry[1] !== undefined,
    )
    const all: Record<string, string> = {
      AERODB_INTERNAL_SECRET: secrets.internal_secret,
      AERODB_ENCRYPTION_KEYS: secrets.encryption_key,
      ...Object.fromEntries(passedOn),
      AERODB_LOG_LEVEL: this.#config.AERODB_LOG_LEVEL,
      AERODB_DOMAIN: this.#config.AERODB_DOMAIN,
      AERODB_DATA_DIR: this.#config.AERODB_DATA_DIR,
      AERODB_DATABASE_URL: this.#databaseUrl,
      AERODB_SHARED_DATABASE_URLS: this.#sharedUrls.join(','),
      AERODB_REDIS_URL: this.#redisUrls.join(','),
      AERODB_PLATFORM_KEY: this.#platformKey(),
      AERODB_GATEWAY_HOST: this.#config.AERODB_GATEWAY_HOST,
      AERODB_GATEWAY_PORT: String(ports.gateway),
      AERODB_GATEWAY_ADMIN_PORT: String(ports.admin),
      AERODB_GATEWAY_WORKERS: String(this.#config.AERODB_GATEWAY_WORKERS ?? availableParallelism()),
      AERODB_CONTROL_PORT: String(ports.control),
      AERODB_METERING_PORT: String(ports.metering),
      AERODB_BACKEND_PORT: String(ports.backend),
      AERODB_PROBE_URLS: `http://127.0.0.1:${ports.gateway}`,
      AERODB_CONTROL_URL: `http://127.0.0.1:${ports.control}`,
      AERODB_METERING_URL: `http://127.0.0.1:${ports.metering}`,
      AERODB_BACKEND_URLS: `http://127.0.0.1:${ports.backend}`,
      AERODB_DASHBOARD_DIR: this.#dashboardDirectory,
      AERODB_DEDICATED_BACKEND_HOST: '127.0.0.1',
      AERODB_WEBHOOK_ALLOW_PRIVATE: this.#config.AERODB_WEBHOOK_ALLOW_PRIVATE ? '1' : '0',
    }
    for (const name of WITHHELD[service]) delete all[name]
    return all
  }

  /** Starts a database server again after it died, for as long as it takes. */
  async #revive(name: string, start: () => Promise<void>): Promise<void> {
    this.#onNotice(`${name} ended; starting it again`)
    for (let pauseMs = 100; this.#stopping === undefined; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      try {
        await start()
        return
      } catch (fault) {
        this.#onNotice(`${name} did not start: ${(fault as Error).message}`)
        await sleep(pauseMs)
      }
    }
  }

  async #noteServer(name: string, pid: number, signal: NodeJS.Signals): Promise<void> {
    this.#pids[name] = [pid]
    await this.#directory.noteChild(name, pid, signal)
    this.#endpointsChanged()
  }

  /** A killed worker was replaced: the file names the one that serves now. */
  #endpointsChanged(): void {
    if (!this.#isServing) return
    this.#writing = this.#writing.then(async () => {
      if (this.#isServing) await this.announce()
    })
  }

  #require<Value>(value: Value | undefined): Value {
    if (value === undefined) throw new Error('prepare() comes first')
    return value
  }
}

async function choosePort(variable: string, wanted: number, host = '127.0.0.1'): Promise<number> {
  if (wanted === 0) return findFreePort()
  if (await isPortFree(wanted, host)) return wanted
  throw new Remedy(
    `Port ${wanted} is taken by another program.`,
    `Stop that program (\`ss -ltnp sport = :${wanted}\` shows it), or choose another port: ${variable}=0 takes a free one.`,
  )
}
