import { LRUCache } from 'lru-cache'
import type { UsageWriter } from '../../../metering/contract.ts'
import type { UsageTotal } from '../stores/object-store.ts'

/** Tenants whose newest total is remembered; one that falls out only loses the check on the order of its next two changes. */
const MAX_TENANTS = 20_000

/** Writes each tenant's exact total after its changes. */
export class UsageRecorder {
  readonly #writer: UsageWriter
  readonly #newest = new LRUCache<string, number>({ max: MAX_TENANTS })

  constructor(writer: UsageWriter) {
    this.#writer = writer
  }

  /**
   * Records a total as of the change that made it; resolves when the record is safe from a kill. Two changes are answered on
   * two connections and may arrive here in the wrong order: the older total is then history already, and is left out.
   */
  record(tenantId: string, total: UsageTotal): Promise<void> {
    if (total.changedAtUs < (this.#newest.get(tenantId) ?? 0)) return Promise.resolve()
    this.#newest.set(tenantId, total.changedAtUs)
    const completedAtMs = Math.floor(total.changedAtUs / 1_000)
    return new Promise((resolve) =>
      this.#writer.append({ kind: 'storage', tenantId, completedAtMs, filesBytes: total.filesBytes }, resolve),
    )
  }
}
