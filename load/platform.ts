import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { endProcess } from '../runtime/processes.ts'

const LAUNCHER = fileURLToPath(new URL('../deploy/up.ts', import.meta.url))
const START_TIMEOUT_MS = 120_000
const SHOWN_ERRORS = 5

const endpointsSchema = z.object({
  gateway: z.string(),
  admin: z.string(),
  domain: z.string(),
  platform_key: z.string(),
  shared_database_urls: z.array(z.string()),
  redis_url: z.string(),
  pids: z.record(z.string(), z.array(z.number())),
})
export type Endpoints = z.output<typeof endpointsSchema>

/** A whole platform under load: one of our own on free ports and a temporary data directory, or one that runs already. */
export class LoadPlatform {
  readonly #endpointsFile: string
  readonly #child: ChildProcess | undefined
  /** The data directory, where the platform is our own. */
  readonly directory: string | undefined
  endpoints: Endpoints

  private constructor(file: string, endpoints: Endpoints, child?: ChildProcess, directory?: string) {
    this.#endpointsFile = file
    this.endpoints = endpoints
    this.#child = child
    this.directory = directory
  }

  /** Uses the running platform that `endpointsFile` describes; it goes on running afterwards. */
  static async attach(endpointsFile: string): Promise<LoadPlatform> {
    return new LoadPlatform(endpointsFile, await readEndpoints(endpointsFile))
  }

  /** Starts the launcher of `npm run up`. @throws with its last words when it is not ready in time. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<LoadPlatform> {
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-load-'))
    const child = spawn(process.execPath, [LAUNCHER], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NODE_ENV: 'production',
        AERODB_DATA_DIR: directory,
        AERODB_GATEWAY_PORT: '0',
        AERODB_GATEWAY_ADMIN_PORT: '0',
        AERODB_CONTROL_PORT: '0',
        AERODB_LOG_LEVEL: 'warn',
        ...env,
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-10_000)))
    const file = join(directory, 'endpoints.json')
    const deadline = performance.now() + START_TIMEOUT_MS
    while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
      const endpoints = await readEndpoints(file).catch(() => undefined)
      if (endpoints !== undefined) return new LoadPlatform(file, endpoints, child, directory)
      await sleep(50)
    }
    await stopLauncher(child)
    await rm(directory, { recursive: true, force: true })
    throw new Error(`The platform did not start:\n${output}`)
  }

  /** Reads the process ids again: a service that was killed has been replaced. */
  async refresh(): Promise<Endpoints> {
    this.endpoints = await readEndpoints(this.#endpointsFile)
    return this.endpoints
  }

  /** The latest errors in the logs of a platform of our own: why something failed, before its folder is gone. */
  async lastErrors(): Promise<string> {
    if (this.directory === undefined) return ''
    const folder = join(this.directory, 'logs')
    const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.log'))
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8').catch(() => '')))
    const lines = texts.flatMap((text) => text.split('\n').filter((line) => /^\{"level":"(?:error|fatal)"/.test(line)))
    return lines
      .slice(-SHOWN_ERRORS)
      .map((line) => line.slice(0, 2_000))
      .join('\n')
  }

  /** Stops a platform of our own and removes its data; leaves another one alone. */
  async stop(): Promise<void> {
    if (this.#child === undefined || this.directory === undefined) return
    await stopLauncher(this.#child)
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

async function readEndpoints(file: string): Promise<Endpoints> {
  return endpointsSchema.parse(JSON.parse(await readFile(file, 'utf8')))
}

async function stopLauncher(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
    await endProcess(child.pid, 'SIGTERM', 60_000)
}
