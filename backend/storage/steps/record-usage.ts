import type { UsageWriter } from '../../../metering/contract.ts'
import type { UsageTotal } from '../stores/object-store.ts'

/** Writes the tenant's exact total, as of the change that made it; resolves when the record is safe from a kill. */
export function recordUsage(writer: UsageWriter, tenantId: string, total: UsageTotal): Promise<void> {
  return new Promise((resolve) =>
    writer.append(
      { kind: 'storage', tenantId, completedAtMs: total.changedAtMs, filesBytes: total.filesBytes },
      resolve,
    ),
  )
}
