import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ReadyMessage } from '../../runtime/lifecycle.ts'
import type { PulseMessage } from '../../runtime/pulse.ts'
import { ENCRYPTION_KEY, INTERNAL_SECRET } from './snapshots.ts'

export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: string }

/** A real gateway (`node gateway/main.ts`) on free ports, with a data directory of its own unless one is given. */
export class GatewayProcess {
  readonly dataDirectory: string
  readonly #child: ChildProcess
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  #output = ''
  ready: ReadyMessage = { type: 'ready' }

  private constructor(child: ChildProcess, dataDirectory: string) {
    this.#child = child
    this.dataDirectory = dataDirectory
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-20_000)))
  }

  /** @throws with the process's last words when it does not get ready. */
  static async start(env: Record<string, string>, dataDirectory?: string): Promise<GatewayProcess> {
    const directory = dataDirectory ?? (await mkdtemp(join(tmpdir(), 'aerodb-gateway-')))
    const child = fork(fileURLToPath(new URL('../main.ts', import.meta.url)), {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      env: {
        PATH: process.env.PATH,
        AERODB_LOG_LEVEL: 'warn',
        AERODB_INTERNAL_SECRET: INTERNAL_SECRET,
        AERODB_ENCRYPTION_KEYS: ENCRYPTION_KEY,
        AERODB_DATA_DIR: directory,
        AERODB_GATEWAY_PORT: '0',
        AERODB_GATEWAY_ADMIN_PORT: '0',
        AERODB_GATEWAY_WORKERS: '2',
        AERODB_METERING_URL: 'http://127.0.0.1:1',
        ...env,
      },
    })
    const gateway = new GatewayProcess(child, directory)
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message: ReadyMessage | PulseMessage) => {
        if (message.type !== 'ready') return
        gateway.ready = message
        resolve()
      })
      child.once('exit', (code) => reject(new Error(`The gateway ended with ${code}: ${gateway.#output}`)))
    })
    return gateway
  }

  get port(): number {
    return Number(new URL(this.ready.url ?? '').port)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** One request to a host of the gateway's. */
  ask(
    host: string,
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string; agent?: Agent | false } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port: this.port,
          path,
          method: options.method ?? 'GET',
          headers: { ...options.headers, Host: host },
          agent: options.agent ?? this.#agent,
        },
        (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (text: string) => (body += text))
          response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
          response.once('error', reject)
        },
      )
      request.once('error', reject)
      request.end(options.body)
    })
  }

  async stop(options: { keepData?: boolean } = {}): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = new Promise((resolve) => this.#child.once('exit', resolve))
      this.#child.kill('SIGTERM')
      await gone
    }
    if (options.keepData !== true) await rm(this.dataDirectory, { recursive: true, force: true })
  }
}
