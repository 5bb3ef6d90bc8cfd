import type { Logger } from '../../../runtime/log.ts'

/** Work that no caller waits for. What fails, or is not finished when the process ends, the sweeper does again. */
export class Background {
  readonly #running = new Set<Promise<void>>()
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log
  }

  run(what: string, work: () => Promise<void>): void {
    const running = work()
      .catch((fault: unknown) => this.#log.warn({ err: fault, what }, 'background work failed'))
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when nothing is running any more, or after `withinMs`. */
  async drain(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    const deadline = Promise.withResolvers<void>()
    const timer = Number.isFinite(withinMs) ? setTimeout(deadline.resolve, withinMs) : undefined
    const ended = async () => {
      while (this.#running.size > 0) await Promise.all(this.#running)
    }
    await Promise.race([ended(), deadline.promise])
    clearTimeout(timer)
    if (this.#running.size > 0)
      this.#log.warn({ tasks: this.#running.size }, 'background work is left to the next sweep')
  }
}
