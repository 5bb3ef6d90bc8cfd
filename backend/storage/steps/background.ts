import type { Logger } from '../../../runtime/log.ts'

/** Work that no caller waits for and that the process finishes before it ends. What fails is logged; the sweeper does it again. */
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

  /** Resolves when nothing is running any more. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
