import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ReadyMessage } from './lifecycle.ts'
import { endProcess } from './processes.ts'
import { watchPulse } from './pulse.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const LOG_LIMIT_BYTES = 50_000_000
/** A service that ran this long before it died starts its back-off anew. */
const STABLE_MS = 30_000

export type ServiceOptions = {
  name: string
  /** Its main program, from the repository's root. */
  program: string
  env: Readonly<Record<string, string>>
  logDirectory: string
  /** Called when the service (and its workers) came up, and again whenever that changes. */
  onReady: (message: ReadyMessage, pid: number) => void
  /** Called with what an operator should know: it died, it was started again. */
  onNotice: (text: string) => void
  onSpawn: (pid: number | undefined) => void
}

/** One service process of ours under supervision: started again, with a growing pause, whenever it dies unasked or hangs. */
export class Service {
  readonly #options: ServiceOptions
  #child: ChildProcess | undefined
  #stopping = false
  #failures = 0
  #logFile: WriteStream | undefined
  #lastLines = ''

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it and resolves once it says that it serves. @throws with its last words when it ends first. */
  async start(timeoutMs: number): Promise<void> {
    const { logDirectory, name } = this.#options
    await mkdir(logDirectory, { recursive: true, mode: 0o700 })
    const file = join(logDirectory, `${name}.log`)
    if (((await stat(file).catch(() => undefined))?.size ?? 0) > LOG_LIMIT_BYTES) await rename(file, `${file}.1`)
    this.#logFile = createWriteStream(file, { flags: 'a', mode: 0o600 })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name} was not ready in time. Its log: ${file}`)), timeoutMs)
      const settle = (fault?: Error) => {
        clearTimeout(timer)
        if (fault === undefined) resolve()
        else reject(fault)
      }
      this.#spawn(settle)
    })
  }

  /** SIGTERM, then after `timeoutMs` SIGKILL. */
  async stop(timeoutMs = 20_000): Promise<void> {
    this.#stopping = true
    const child = this.#child
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
      await endProcess(child.pid, 'SIGTERM', timeoutMs)
    this.#logFile?.end()
  }

  /** @param settle tells the first start's outcome; a later start has nobody to tell. */
  #spawn(settle?: (fault?: Error) => void): void {
    const { name, program, env, onReady, onNotice, onSpawn } = this.#options
    if (this.#stopping) {
      settle?.(new Error(`${name} was stopped before it started`))
      return
    }
    const startedMs = performance.now()
    const child = spawn(process.execPath, [join(ROOT, program)], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        TZ: 'UTC',
        NODE_ENV: 'production',
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A session of its own: a terminal's Ctrl-C reaches the launcher only, which stops its parts in order.
      detached: true,
    })
    this.#child = child
    onSpawn(child.pid)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#logFile?.write(bytes)
        this.#lastLines = (this.#lastLines + bytes.toString('utf8')).slice(-2_000)
      })
    }
    watchPulse(child, () => {
      onNotice(`${name} does not answer; killing it`)
      child.kill('SIGKILL')
    })
    let settled = settle === undefined
    child.on('message', (message) => {
      if ((message as Partial<ReadyMessage>).type !== 'ready' || child.pid === undefined) return
      onReady(message as ReadyMessage, child.pid)
      if (!settled) settle?.()
      settled = true
    })
    child.once('error', (fault) => {
      if (!settled) settle?.(fault)
      settled = true
    })
    child.once('exit', (code, signal) => {
      onSpawn(undefined)
      if (this.#stopping) return
      if (!settled) {
        settled = true
        settle?.(new Error(`${name} ended at once (${signal ?? code}): ${this.#lastLines.trim()}`))
        return
      }
      if (performance.now() - startedMs > STABLE_MS) this.#failures = 0
      const pauseMs = Math.min(100 * 2 ** this.#failures++, 5_000)
      onNotice(`${name} ended (${signal ?? code}); starting it again in ${pauseMs} ms`)
      setTimeout(() => {
        if (!this.#stopping) this.#spawn()
      }, pauseMs)
    })
  }
}
