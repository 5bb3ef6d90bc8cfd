import type { Change, Queryable } from '../stores/change.ts'

export type MaintenanceWindowRow = {
  window_id: string
  /** `null`: the whole platform. */
  tenant_id: string | null
  starts_at: Date
  ends_at: Date
  reason: string
  created_at: Date
}

export async function insertWindow(
  change: Change,
  window: Omit<MaintenanceWindowRow, 'created_at'>,
): Promise<MaintenanceWindowRow> {
  const result = await change.tx.query<MaintenanceWindowRow>(
    `insert into control.maintenance_windows (window_id, tenant_id, starts_at, ends_at, reason)
     values ($1, $2, $3, $4, $5) returning *`,
    [window.window_id, window.tenant_id, window.starts_at, window.ends_at, window.reason],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return row
}

export async function lockWindow(change: Change, windowId: string): Promise<MaintenanceWindowRow | undefined> {
  const result = await change.tx.query<MaintenanceWindowRow>(
    'select * from control.maintenance_windows where window_id = $1 for update',
    [windowId],
  )
  return result.rows[0]
}

export async function endWindow(change: Change, windowId: string, at: Date): Promise<void> {
  await change.tx.query('update control.maintenance_windows set ends_at = $2 where window_id = $1', [windowId, at])
}

export async function deleteWindow(change: Change, windowId: string): Promise<void> {
  await change.tx.query('delete from control.maintenance_windows where window_id = $1', [windowId])
}

/** Windows, newest first, after the id `before`; with a tenant: its own and the platform's. */
export async function listWindows(
  db: Queryable,
  filter: {
    tenantId?: string | undefined
    /** Only those that end after this. */
    endAfter?: Date | undefined
    before?: string | undefined
    limit: number
  },
): Promise<MaintenanceWindowRow[]> {
  const result = await db.query<MaintenanceWindowRow>(
    `select * from control.maintenance_windows
     where ($1::text is null or tenant_id = $1 or tenant_id is null) and ($2::timestamptz is null or ends_at > $2)
       and ($3::text is null or window_id < $3)
     order by window_id desc limit $4`,
    [filter.tenantId ?? null, filter.endAfter ?? null, filter.before ?? null, filter.limit],
  )
  return result.rows
}
