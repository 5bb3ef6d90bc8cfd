import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWhenLauncherIsGone } from '../../deploy/guardian.ts'
import { endProcess } from '../../runtime/processes.ts'
import { readProcessTree } from './process-usage.ts'

export type PinnedProcessOptions = {
  program: string
  args: readonly string[]
  /** The core it may run on; `undefined` for any. */
  core: number | undefined
  /** Replaces the environment, of which only PATH is passed on. */
  env?: Readonly<Record<string, string>>
  cwd?: string
  /** The loopback port on which it accepts connections once it is ready. */
  readyPort?: number
  /** Our own Node programs end by themselves when this process is gone: they get an IPC channel. */
  ipc?: boolean
  startTimeoutMs?: number
}

/** Every process that the benchmark has started and not yet stopped. */
const running = new Set<PinnedProcess>()

/** A process of the benchmark's own, held to one core, that ends with the benchmark. */
export class PinnedProcess {
  readonly #child: ChildProcess
  readonly #name: string
  #output = ''
  #exited = false
  #dismissGuard = () => {}

  private constructor(child: ChildProcess, name: string) {
    this.#child = child
    this.#name = name
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-4_000)))
    child.once('error', (fault) => {
      this.#exited = true
      this.#output += fault.message
    })
    child.once('exit', () => {
      this.#exited = true
    })
  }

  /** Starts it and waits until `readyPort` accepts. @throws with its last words when it does not come up. */
  static async start(options: PinnedProcessOptions): Promise<PinnedProcess> {
    const { program, args, core, env = {}, cwd = '/', readyPort, ipc = false, startTimeoutMs = 20_000 } = options
    const pinned = core === undefined ? [program, ...args] : ['taskset', '--cpu-list', String(core), program, ...args]
    const child = spawn(pinned[0] ?? program, pinned.slice(1), {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ipc ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    })
    const started = new PinnedProcess(child, program)
    running.add(started)
    // Ours see their channel close; others would outlive a benchmark that was killed.
    if (!ipc && child.pid !== undefined) started.#dismissGuard = endWhenLauncherIsGone(child.pid, 'TERM')
    const deadline = performance.now() + startTimeoutMs
    while (readyPort !== undefined && !(await accepts(readyPort))) {
      if (!started.#exited && performance.now() < deadline) {
        await sleep(20)
        continue
      }
      await started.stop()
      throw new Error(`${[program, ...args].join(' ')} did not start: ${started.#output.trim()}`)
    }
    return started
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The process and all its descendants. */
  async pids(): Promise<number[]> {
    return readProcessTree(this.pid)
  }

  /** What it has printed lately. */
  get output(): string {
    return this.#output
  }

  /** Waits until it has ended by itself. @throws when it failed or took longer than `timeoutMs`. */
  async finish(timeoutMs: number): Promise<string> {
    const deadline = performance.now() + timeoutMs
    while (!this.#exited && performance.now() < deadline) await sleep(20)
    const code = this.#child.exitCode
    await this.stop()
    if (code !== 0) throw new Error(`${this.#name} failed (${code ?? 'timeout'}): ${this.#output.trim()}`)
    return this.#output
  }

  async stop(): Promise<void> {
    if (!this.#exited && this.#child.pid !== undefined) await endProcess(this.#child.pid, 'SIGTERM', 20_000)
    this.#dismissGuard()
    running.delete(this)
  }
}

/** Stops whatever is still running: the benchmark leaves no process behind, also when it fails. */
export async function stopAllProcesses(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()))
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
