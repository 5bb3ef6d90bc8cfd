import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MetricObject } from 'prom-client'
import type { Logger } from '../runtime/log.ts'
import { type PulseMessage, watchPulse } from '../runtime/pulse.ts'
import { type FromWorker, GATEWAY_ID_VARIABLE, processName, type ToWorker } from './worker-messages.ts'

/** Connections that wait for a worker while none serves; more are refused. */
const MAX_WAITING = 1_024
const METRICS_TIMEOUT_MS = 1_000
/** A worker that cannot even start is tried again after this, doubled each time. */
const FIRST_RESTART_MS = 100
const MAX_RESTART_MS = 5_000
/** What a worker said before it died is read within this. */
const LAST_WORDS_MS = 100
/** A worker that served for this long did not fail to start. */
const HEALTHY_AFTER_MS = 10_000

type Arrival = { socket: Socket; isTls: boolean }

type Worker = {
  child: ChildProcess
  isReady: boolean
  isLeaving: boolean
  startedMs: number
  /** Connections that were sent to it and that it has not said to have, by id. */
  inTransit: Map<number, Arrival>
}

export type PrimaryOptions = {
  host: string
  port: number
  /** A second port, for TLS. */
  tlsPort?: number
  workers: number
  /** How long connections are still taken once it is to stop. */
  stopDelayMs?: number
  log: Logger
  /** Called when the set of serving workers has changed. */
  onChange: () => void
}

/**
 * The process that owns the public port. It accepts connections and hands each to a worker in turn, so the death or
 * replacement of a worker never closes the port: a connection that nobody has taken yet goes to another worker, or waits
 * until there is one. (With `SO_REUSEPORT` each worker has its own accept queue in the kernel, which a kill resets; with
 * node:cluster the port closes while the last worker is away.)
 */
export class Primary {
  readonly #options: PrimaryOptions
  readonly #server: Server
  readonly #tlsServer: Server
  readonly #workers = new Set<Worker>()
  readonly #waiting: Arrival[] = []
  readonly #collecting = new Map<number, (worker: ChildProcess, metrics: MetricObject[]) => void>()
  readonly #gatewayId = randomBytes(8).toString('hex')
  /** Workers that died lately. */
  readonly #deadProcesses: string[] = []
  #nextCollection = 1
  #nextConnection = 1
  #turn = 0
  #isStopping = false
  #failedStarts = 0

  constructor(options: PrimaryOptions) {
    this.#options = options
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#handOver(socket, false))
    this.#tlsServer = createServer({ pauseOnConnect: true }, (socket) => this.#handOver(socket, true))
  }

  /** Starts the workers and resolves with the port once the first serves. */
  async start(): Promise<number> {
    const { host, port, tlsPort, workers } = this.#options
    await listen(this.#server, host, port)
    if (tlsPort !== undefined) await listen(this.#tlsServer, host, tlsPort)
    for (let i = 0; i < workers; i++) this.#fork()
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#serving().length === workers || this.#isStopping) resolve()
        else setTimeout(look, 10)
      }
      look()
    })
    return portOf(this.#server) ?? port
  }

  /** Where TLS is served, if it is. */
  get tlsPort(): number | undefined {
    return portOf(this.#tlsServer)
  }

  /** The process ids of the workers that serve. */
  pids(): number[] {
    return this.#serving().flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid]))
  }

  get isReady(): boolean {
    return !this.#isStopping && this.#serving().length > 0
  }

  /** Replaces every worker by a new one, one after the other; each old one drains when its replacement serves. */
  async restartWorkers(): Promise<void> {
    for (const old of [...this.#workers]) {
      if (this.#isStopping) return
      const replacement = this.#fork()
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (replacement.isReady || !this.#workers.has(replacement) || this.#isStopping) resolve()
          else setTimeout(look, 10)
        }
        look()
      })
      if (!replacement.isReady) continue
      old.isLeaving = true
      this.#options.onChange()
      await this.#end(old)
    }
  }

  /** What every worker measured, as prom-client's JSON; a worker that does not answer in time is left out. */
  async collectMetrics(): Promise<MetricObject[][]> {
    const serving = this.#serving()
    const id = this.#nextCollection++
    const collected: MetricObject[][] = []
    await new Promise<void>((resolve) => {
      if (serving.length === 0) return resolve()
      const timer = setTimeout(resolve, METRICS_TIMEOUT_MS)
      this.#collecting.set(id, (_worker, metrics) => {
        collected.push(metrics)
        if (collected.length < serving.length) return
        clearTimeout(timer)
        resolve()
      })
      const message: ToWorker = { type: 'collect-metrics', id }
      for (const { child } of serving) child.send(message, () => {})
    })
    this.#collecting.delete(id)
    return collected
  }

  /** Takes no more connections and lets every worker drain. */
  async stop(): Promise<void> {
    await sleep(this.#options.stopDelayMs ?? 0)
    this.#isStopping = true
    this.#server.close()
    this.#tlsServer.close()
    for (const { socket } of this.#waiting.splice(0)) socket.destroy()
    await Promise.all([...this.#workers].map((worker) => this.#end(worker)))
  }

  #serving(): Worker[] {
    return [...this.#workers].filter(({ isReady, isLeaving, child }) => isReady && !isLeaving && child.connected)
  }

  #handOver(socket: Socket, isTls: boolean): void {
    const serving = this.#serving()
    const worker = serving[this.#turn++ % Math.max(1, serving.length)]
    if (worker === undefined) {
      if (this.#isStopping || this.#waiting.length >= MAX_WAITING) socket.destroy()
      else this.#waiting.push({ socket, isTls })
      return
    }
    // Our copy stays open until the worker has its own: one that is killed meanwhile must not take the connection with it.
    const id = this.#nextConnection++
    worker.inTransit.set(id, { socket, isTls })
    const message: ToWorker = { type: 'connection', id, isTls }
    worker.child.send(message, socket, { keepOpen: true }, (fault) => {
      // Not within this turn: the news of a death arrives by the event loop, which tries without a pause would never let run.
      if (fault !== null && worker.inTransit.delete(id)) setImmediate(() => this.#handOver(socket, isTls))
    })
  }

  #taken(worker: Worker, id: number): void {
    const arrival = worker.inTransit.get(id)
    worker.inTransit.delete(id)
    arrival?.socket.destroy()
  }

  /** The channel to a worker is closed, and read to its end: what it has not said to have goes to another. */
  #lost(worker: Worker): void {
    const left = [...worker.inTransit.values()]
    worker.inTransit.clear()
    for (const { socket, isTls } of left) setImmediate(() => this.#handOver(socket, isTls))
  }

  #fork(): Worker {
    const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), ['--worker'], {
      serialization: 'json',
      env: { ...process.env, [GATEWAY_ID_VARIABLE]: this.#gatewayId },
    })
    const worker: Worker = {
      child,
      isReady: false,
      isLeaving: false,
      startedMs: performance.now(),
      inTransit: new Map(),
    }
    this.#workers.add(worker)
    watchPulse(child, () => {
      this.#options.log.error({ worker: child.pid }, 'a worker hangs: killing it')
      child.kill('SIGKILL')
    })
    child.on('message', (message: FromWorker | PulseMessage) => {
      if (message.type === 'pulse') return
      if (message.type === 'taken') this.#taken(worker, message.id)
      else if (message.type === 'ready') this.#becameReady(worker)
      else if (message.type === 'leaving') this.#isLeaving(worker)
      else this.#collecting.get(message.id)?.(child, message.metrics)
    })
    child.once('disconnect', () => this.#lost(worker))
    child.once('exit', (code, signal) => {
      // A kill in the middle of a message leaves its channel waiting for the rest, and never `disconnect`ed.
      setTimeout(() => this.#lost(worker), LAST_WORDS_MS)
      this.#exited(worker, code, signal)
    })
    return worker
  }

  #becameReady(worker: Worker): void {
    worker.isReady = true
    if (this.#deadProcesses.length > 0) this.#tellDeadProcesses([worker])
    for (const { socket, isTls } of this.#waiting.splice(0)) this.#handOver(socket, isTls)
    this.#options.onChange()
  }

  /** A worker drains. When nobody here asked it to, another takes its place. */
  #isLeaving(worker: Worker): void {
    if (worker.isLeaving || this.#isStopping) return
    worker.isLeaving = true
    this.#options.onChange()
    this.#fork()
  }

  #tellDeadProcesses(workers: readonly Worker[]): void {
    const message: ToWorker = { type: 'dead-processes', processes: this.#deadProcesses }
    for (const { child } of workers) child.send(message, () => {})
  }

  #exited(worker: Worker, code: number | null, signal: NodeJS.Signals | null): void {
    this.#workers.delete(worker)
    if (worker.child.pid !== undefined) this.#deadProcesses.push(processName(this.#gatewayId, worker.child.pid))
    if (this.#deadProcesses.length > 16) this.#deadProcesses.shift()
    this.#tellDeadProcesses(this.#serving())
    if (this.#isStopping || worker.isLeaving) return
    this.#options.log.warn({ worker: worker.child.pid, code, signal }, 'a worker is gone: starting another')
    this.#options.onChange()
    const didServe = worker.isReady || performance.now() - worker.startedMs > HEALTHY_AFTER_MS
    this.#failedStarts = didServe ? 0 : this.#failedStarts + 1
    const delayMs = didServe ? 0 : Math.min(FIRST_RESTART_MS * 2 ** this.#failedStarts, MAX_RESTART_MS)
    const again = (): void => {
      if (!this.#isStopping) this.#fork()
    }
    if (delayMs === 0) again()
    else setTimeout(again, delayMs)
  }

  async #end({ child }: Worker): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGTERM')
    })
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 4_096 }, resolve)
  })
}

function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}
