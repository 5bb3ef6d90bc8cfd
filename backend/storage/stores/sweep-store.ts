import type { StorageSession } from '../session.ts'
import { lockUsage, type UsageTotal } from './object-store.ts'
import { epochUs } from './sql-fragments.ts'

/** What the sweeper asks of a tenant's tables; always with all rights within the tenant. */
export class SweepStore {
  /**
   * Condemns blobs that are due, so that no upload can take them any more, and gives up to `limit` of all that are
   * condemned: also those of a sweep that was killed.
   */
  async condemnDue(session: StorageSession, nowMs: number, limit: number): Promise<string[]> {
    const { pending } = session.tables
    const versions = await session.ask<string[]>(
      {
        text: `update ${pending} set condemned = true where not condemned and due_at <= to_timestamp($1::bigint / 1000.0)`,
        values: [String(nowMs)],
      },
      {
        text: `select coalesce(json_agg(version), '[]') from (
          select version from ${pending} where condemned order by due_at limit $1::bigint) page`,
        values: [String(limit)],
      },
    )
    return versions ?? []
  }

  /** Counts the objects' sizes anew and corrects the total, should anything ever have gone past it. */
  async recount(session: StorageSession): Promise<UsageTotal | undefined> {
    const { objects, uploads, usage } = session.tables
    return session.ask(lockUsage(session), {
      text: `update ${usage} set changed_at = clock_timestamp(),
          files_bytes = (select coalesce(sum(size_bytes), 0) from ${objects}),
          reserved_bytes = (select coalesce(sum(length_bytes), 0) from ${uploads} where not finished)
        returning json_build_object('filesBytes', files_bytes, 'changedAtUs', ${epochUs('changed_at')})`,
      values: [],
    })
  }

  /** The total as it stands; `undefined` when the tenant stores nothing. */
  async readTotal(session: StorageSession): Promise<UsageTotal | undefined> {
    return session.ask({
      text: `select json_build_object('filesBytes', files_bytes, 'changedAtUs', ${epochUs('changed_at')})
        from ${session.tables.usage}`,
      values: [],
    })
  }
}
