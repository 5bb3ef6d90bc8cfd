import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import { alertOfFindings } from './alert-findings.ts'
import type { IsolationReport } from './report.ts'

/**
 * The audit as control runs it: on its schedule and when asked for, one run at a time, the last report kept in memory. What it
 * finds becomes alerts, which resolve themselves when it is gone. Replicas each run their own: it only reads.
 */
export class IsolationAudits {
  readonly #audit: () => Promise<IsolationReport>
  readonly #pool: PostgresPool
  readonly #publish: PublishTouched
  readonly #log: Logger
  #latest: IsolationReport | undefined
  #running: Promise<IsolationReport> | undefined

  constructor(options: {
    audit: () => Promise<IsolationReport>
    pool: PostgresPool
    publish: PublishTouched
    log: Logger
  }) {
    this.#audit = options.audit
    this.#pool = options.pool
    this.#publish = options.publish
    this.#log = options.log
  }

  /** The last report; the first one is made when nobody has asked before. */
  async latest(): Promise<IsolationReport> {
    return this.#latest ?? this.run()
  }

  /** Looks now; a run that is under way is shared. @throws when a server cannot be reached. */
  run(): Promise<IsolationReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(): Promise<IsolationReport> {
    const report = await this.#audit()
    this.#latest = report
    const count = report.findings.length + report.unlisted
    if (count > 0) this.#log.error({ findings: count, first: report.findings[0] }, 'the isolation audit has findings')
    await makeChange(this.#pool, this.#publish, (change) => alertOfFindings(change, report))
    return report
  }
}
