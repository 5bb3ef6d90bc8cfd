import { makeId } from '../../runtime/ids.ts'
import type { Change, Queryable } from './change.ts'
import { emitEvent } from './webhook-store.ts'

export const ALERT_SEVERITIES = ['info', 'warning', 'critical'] as const

export type AlertRow = {
  alert_id: string
  fingerprint: string
  kind: string
  severity: (typeof ALERT_SEVERITIES)[number]
  tenant_id: string | null
  detail: string
  opened_at: Date
  last_seen_at: Date
  resolved_at: Date | null
}

/** Opens an alert, or notes that the cause of an open one was seen again. Webhooks are told of a new one. */
export async function openAlert(
  change: Change,
  alert: Pick<AlertRow, 'fingerprint' | 'kind' | 'severity' | 'detail'> & { tenantId: string | null },
): Promise<void> {
  const alertId = makeId('alrt')
  const result = await change.tx.query<AlertRow>(
    `insert into control.alerts (alert_id, fingerprint, kind, severity, tenant_id, detail) values ($1, $2, $3, $4, $5, $6)
     on conflict (fingerprint) where resolved_at is null
       do update set last_seen_at = now(), detail = excluded.detail, severity = excluded.severity
     returning *`,
    [alertId, alert.fingerprint, alert.kind, alert.severity, alert.tenantId, alert.detail],
  )
  if (result.rows[0]?.alert_id === alertId)
    await emitEvent(change, 'alert.opened', {
      alert_id: alertId,
      kind: alert.kind,
      severity: alert.severity,
      tenant_id: alert.tenantId,
      detail: alert.detail,
    })
}

/** Resolves the open alert of a cause, if there is one. */
export async function resolveAlert(change: Change, fingerprint: string): Promise<void> {
  const result = await change.tx.query<AlertRow>(
    'update control.alerts set resolved_at = now() where fingerprint = $1 and resolved_at is null returning *',
    [fingerprint],
  )
  const row = result.rows[0]
  if (row !== undefined) await emitEvent(change, 'alert.resolved', { alert_id: row.alert_id, kind: row.kind })
}

/** Alerts, newest first, after the id `before`. */
export async function listAlerts(
  db: Queryable,
  filter: { isOpen?: boolean | undefined; tenantId?: string | undefined; before?: string | undefined; limit: number },
): Promise<AlertRow[]> {
  const result = await db.query<AlertRow>(
    `select * from control.alerts
     where ($1::boolean is null or (resolved_at is null) = $1) and ($2::text is null or tenant_id = $2)
       and ($3::text is null or alert_id < $3)
     order by alert_id desc limit $4`,
    [filter.isOpen ?? null, filter.tenantId ?? null, filter.before ?? null, filter.limit],
  )
  return result.rows
}
