import type { Logger } from './log.ts'
import { startPulse } from './pulse.ts'

type StopStep = { name: string; stop: () => Promise<void> | void }

/** What a service tells its launcher over the IPC channel once it serves (and again when its workers change). */
export type ReadyMessage = { type: 'ready'; url?: string; adminUrl?: string; pids?: readonly number[] }

/**
 * The life of one process. Parts register how they stop, in the order they started; SIGTERM, SIGINT or the death of the
 * launcher stops them in reverse order, once, within `graceMs`, and then the process exits.
 */
export class Lifecycle {
  readonly #log: Logger
  readonly #graceMs: number
  readonly #steps: StopStep[] = []
  #stopping: Promise<void> | undefined

  constructor(log: Logger, options: { graceMs?: number } = {}) {
    this.#log = log
    this.#graceMs = options.graceMs ?? 15_000
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  /** Registers how a part that has just started is stopped. */
  onStop(name: string, stop: () => Promise<void> | void): void {
    this.#steps.push({ name, stop })
  }

  /** Tells the launcher that it lives; listens for signals, for the launcher's death (its IPC channel closes) and for faults that nobody caught. */
  listen(): void {
    startPulse()
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#exit(0, signal))
    process.on('disconnect', () => this.#exit(0, 'the launcher is gone'))
    process.on('uncaughtException', (fault) => {
      this.#log.fatal({ err: fault }, 'uncaught exception')
      this.#exit(1, 'uncaught exception')
    })
    process.on('unhandledRejection', (fault) => {
      this.#log.fatal({ err: fault }, 'unhandled rejection')
      this.#exit(1, 'unhandled rejection')
    })
  }

  /** Tells the launcher, if there is one, that this process serves. */
  ready(message: Omit<ReadyMessage, 'type'> = {}): void {
    if (process.connected) process.send?.({ type: 'ready', ...message })
  }

  /** Stops every part in reverse order; a part that fails to stop is logged and the next one goes on. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const step of this.#steps.toReversed()) {
        try {
          await step.stop()
        } catch (fault) {
          this.#log.error({ err: fault, part: step.name }, 'a part did not stop cleanly')
        }
      }
    })()
    return this.#stopping
  }

  #exit(code: number, reason: string): void {
    if (this.#stopping !== undefined) return
    this.#log.info({ reason }, 'stopping')
    const deadline = setTimeout(() => {
      this.#log.error({ graceMs: this.#graceMs }, 'did not stop in time')
      process.exit(1)
    }, this.#graceMs)
    deadline.unref()
    void this.stop().then(() => process.exit(code))
  }
}
