import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export type Endpoints = {
  gateway: string
  control: string
  admin: string
  metering: string
  backend: string
  domain: string
  platform_key: string
  metadata_database_url: string
  shared_database_urls: string[]
  redis_url: string
  pids: Record<string, number[]>
}

export type Answer = {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever JSON the platform answered, and asserts on it.
  json: any
}

export type CallOptions = {
  method?: string
  key?: string
  headers?: Record<string, string>
  body?: unknown
  agent?: Agent
}

export type Tenant = { tenant_id: string; name: string; status: string; keys: { anon: string; service: string } }

/**
 * The whole platform as a user gets it: `npm run up` as a process of its own on free ports and a temporary data directory.
 * Everything that a test does with it goes through HTTP.
 */
export class TestPlatform {
  readonly directory: string
  readonly #env: Record<string, string>
  readonly #ownsDirectory: boolean
  #child: ChildProcess | undefined
  #endpoints: Endpoints | undefined
  output = ''

  constructor(directory: string, env: Record<string, string>, ownsDirectory: boolean) {
    this.directory = directory
    this.#env = env
    this.#ownsDirectory = ownsDirectory
  }

  /** Starts a platform in a new folder (or on an existing one). */
  static async start(
    options: { env?: Record<string, string>; directory?: string; args?: string[] } = {},
  ): Promise<TestPlatform> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'aerodb-platform-')))
    const platform = new TestPlatform(directory, options.env ?? {}, options.directory === undefined)
    await platform.up(options.args)
    return platform
  }

  get endpoints(): Endpoints {
    if (this.#endpoints === undefined) throw new Error('The platform is not running')
    return this.#endpoints
  }

  get launcherPid(): number {
    return this.#child?.pid ?? 0
  }

  /** Runs `npm run up` and waits for `endpoints.json`. */
  async up(args: string[] = []): Promise<void> {
    const child = spawn('npm', ['run', '--silent', 'up', '--', ...args], {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        AERODB_DATA_DIR: this.directory,
        AERODB_GATEWAY_PORT: '0',
        AERODB_GATEWAY_ADMIN_PORT: '0',
        AERODB_CONTROL_PORT: '0',
        AERODB_GATEWAY_WORKERS: '2',
        ...this.#env,
      },
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-100_000)
      })
    }
    for (let tries = 0; tries < 1_200; tries++) {
      if (child.exitCode !== null || child.signalCode !== null) break
      const text = await readFile(join(this.directory, 'endpoints.json'), 'utf8').catch(() => undefined)
      if (text !== undefined) {
        this.#endpoints = JSON.parse(text) as Endpoints
        return
      }
      await sleep(50)
    }
    await this.stop()
    throw new Error(`The platform did not start:\n${this.output}`)
  }

  /** Reads `endpoints.json` again: a killed worker has been replaced by another process. */
  async refresh(): Promise<Endpoints> {
    this.#endpoints = JSON.parse(await readFile(join(this.directory, 'endpoints.json'), 'utf8')) as Endpoints
    return this.#endpoints
  }

  /** Ends the launcher and waits until it is gone; one that does not end is killed, so that nothing outlives the test. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    this.#endpoints = undefined
    if (child?.pid === undefined) return null
    const { pid } = child
    const isGone = () => child.exitCode !== null || child.signalCode !== null
    const exited = new Promise<void>((resolve) => {
      if (isGone()) resolve()
      else child.once('exit', () => resolve())
    })
    if (!isGone()) child.kill(signal)
    // npm, the bootstrap and the launcher are one process group; the services follow their launcher.
    const deadline = setTimeout(() => process.kill(-pid, 'SIGKILL'), 45_000)
    await exited
    clearTimeout(deadline)
    this.#child = undefined
    return child.exitCode
  }

  /** Stops it and removes its folder. */
  async close(): Promise<void> {
    await this.stop()
    if (this.#ownsDirectory) await rm(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  /** A request to `<host>.<domain>` through the gateway. */
  async call(host: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { endpoints } = this
    const hasBody = options.body !== undefined
    const response = await request(endpoints.gateway + path, {
      method: (options.method ?? (hasBody ? 'POST' : 'GET')) as 'GET',
      headers: {
        host: `${host}.${endpoints.domain}`,
        ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
        ...(hasBody ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(hasBody ? { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) } : {}),
      ...(options.agent === undefined ? {} : { dispatcher: options.agent }),
    })
    const text = await response.body.text()
    return { status: response.statusCode, headers: response.headers, text, json: parseJson(text) }
  }

  /** A request to the platform API with the owner's key. */
  control(path: string, options: CallOptions = {}): Promise<Answer> {
    return this.call('control', path, { key: this.endpoints.platform_key, ...options })
  }

  async createTenant(name: string, members: Record<string, unknown> = {}): Promise<Tenant> {
    const answer = await this.control('/v1/tenants', { body: { name, ...members } })
    if (answer.status !== 201) throw new Error(`Creating ${name} answered ${answer.status}: ${answer.text}`)
    return answer.json as Tenant
  }

  /** Makes the collection `todos` with a title. */
  async createTodos(tenant: Tenant): Promise<void> {
    const answer = await this.call(tenant.name, '/schema/v1/collections', {
      key: tenant.keys.service,
      body: { name: 'todos', columns: [{ name: 'title', type: 'text', nullable: false }] },
    })
    if (answer.status !== 201) throw new Error(`Creating todos answered ${answer.status}: ${answer.text}`)
  }

  /** This month's usage of a tenant. */
  async usage(tenant: Tenant): Promise<Answer> {
    return this.control(`/v1/tenants/${tenant.tenant_id}/usage`)
  }

  /** A dispatcher for clients that take a URL: every host is the gateway's loopback address. */
  agent(): Agent {
    return new Agent({
      connect: {
        lookup: (_host, options, done) => {
          if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
          else done(null, '127.0.0.1', 4)
        },
      },
    })
  }

  tenantUrl(name: string): string {
    const { endpoints } = this
    return `http://${name}.${endpoints.domain}:${new URL(endpoints.gateway).port}`
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
