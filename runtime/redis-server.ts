import { type ChildProcess, spawn } from 'node:child_process'
import { access, constants, mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { endProcess } from './processes.ts'

/** The path of `redis-server` (or its fork `valkey-server`) on this machine, or `undefined`. */
export async function findRedisProgram(path = process.env.PATH ?? ''): Promise<string | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of [...path.split(delimiter), '/usr/bin', '/usr/local/bin', '/usr/sbin']) {
      const program = join(folder, name)
      if (
        folder !== '' &&
        (await access(program, constants.X_OK).then(
          () => true,
          () => false,
        ))
      )
        return program
    }
  }
  return undefined
}

export type RedisServerOptions = {
  program: string
  /** Where the append-only file is kept; `undefined` keeps nothing. */
  directory?: string
  port: number
  password: string
  /** Further lines of its configuration. */
  settings?: Readonly<Record<string, string>>
  onExit?: (code: number | null) => void
}

/** A Redis process of our own on loopback, with a password and, given a directory, an append-only file synced each second. */
export class RedisServer {
  readonly #options: RedisServerOptions
  #child: ChildProcess | undefined
  #stopping = false

  constructor(options: RedisServerOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get url(): string {
    return `redis://:${this.#options.password}@127.0.0.1:${this.#options.port}`
  }

  /** @throws with the server's last words when it does not answer within `timeoutMs`. */
  async start(timeoutMs = 10_000): Promise<void> {
    const { program, directory, port, password, settings = {}, onExit } = this.#options
    if (directory !== undefined) await mkdir(directory, { recursive: true, mode: 0o700 })
    const config = [
      `port ${port}`,
      'bind 127.0.0.1',
      `requirepass ${password}`,
      'save ""',
      ...(directory === undefined
        ? ['appendonly no']
        : [`dir ${JSON.stringify(directory)}`, 'appendonly yes', 'appendfsync everysec']),
      ...Object.entries(settings).map(([name, value]) => `${name} ${value}`),
    ]
    // The configuration goes through standard input, so that the password shows in no process list.
    const child = spawn(program, ['-'], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#child = child
    this.#stopping = false
    child.stdin?.end(`${config.join('\n')}\n`)
    let output = ''
    let exited = false
    let answered = false
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-2_000)))
    child.once('error', (fault) => {
      exited = true
      output += fault.message
    })
    child.once('exit', (code) => {
      exited = true
      if (answered && !this.#stopping) onExit?.(code)
    })
    const deadline = performance.now() + timeoutMs
    while (!exited && performance.now() < deadline) {
      if (await answers(this.url)) {
        answered = true
        return
      }
      await sleep(15)
    }
    await this.stop()
    throw new Error(`Redis did not start: ${output.trim()}`)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const pid = this.#child?.pid
    if (pid !== undefined && this.#child?.exitCode === null) await endProcess(pid, 'SIGTERM', 10_000)
    this.#child = undefined
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.ping()) === 'PONG'
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}
