import { makeId } from '../../runtime/ids.ts'
import type { Change, Queryable } from './change.ts'

export const ALERT_SEVERITIES = ['info', 'warning', 'critical'] as const

export type AlertRow = {
  alert_id: string
  fingerprint: string
  kind: string
  severity: (typeof ALERT_SEVERITIES)[number]
  tenant_id: string | null
  detail: string
  /** What alerts of one cause have in common: they are told together. */
  group_key: string
  /** Facts behind the detail, for programs. */
  attributes: Record<string, unknown>
  opened_at: Date
  last_seen_at: Date
  resolved_at: Date | null
  told_at: Date | null
  end_told_at: Date | null
}

export type NewAlert = Pick<AlertRow, 'fingerprint' | 'kind' | 'severity' | 'detail'> & {
  tenantId: string | null
  /** Of its own where it is not given. */
  groupKey?: string
  attributes?: Record<string, unknown>
}

/** Opens an alert, or notes that the cause of an open one was seen again. It is told by the next dispatch. */
export function openAlert(change: Change, alert: NewAlert): Promise<void> {
  return openAlerts(change, [alert])
}

/** Like `openAlert`, for many at once; each has a fingerprint of its own. */
export async function openAlerts(change: Change, alerts: readonly NewAlert[]): Promise<void> {
  if (alerts.length === 0) return
  await change.tx.query(
    `insert into control.alerts (alert_id, fingerprint, kind, severity, tenant_id, detail, group_key, attributes)
     select alert_id, fingerprint, kind, severity, tenant_id, detail, group_key, attributes
     from jsonb_to_recordset($1::jsonb) as alert (alert_id text, fingerprint text, kind text, severity text,
       tenant_id text, detail text, group_key text, attributes jsonb)
     on conflict (fingerprint) where resolved_at is null do update set last_seen_at = now(), detail = excluded.detail,
       severity = excluded.severity, attributes = excluded.attributes`,
    [
      JSON.stringify(
        alerts.map(({ fingerprint, kind, severity, detail, tenantId, groupKey, attributes }) => ({
          alert_id: makeId('alrt'),
          ...{ fingerprint, kind, severity, detail },
          tenant_id: tenantId,
          group_key: groupKey ?? fingerprint,
          attributes: attributes ?? {},
        })),
      ),
    ],
  )
}

/** Opens those of the alerts whose fingerprint never had one, open or resolved. */
export async function openAlertsOnce(change: Change, alerts: readonly NewAlert[]): Promise<void> {
  if (alerts.length === 0) return
  const known = await change.tx.query<{ fingerprint: string }>(
    'select distinct fingerprint from control.alerts where fingerprint = any($1)',
    [alerts.map(({ fingerprint }) => fingerprint)],
  )
  const fingerprints = new Set(known.rows.map((row) => row.fingerprint))
  await openAlerts(
    change,
    alerts.filter(({ fingerprint }) => !fingerprints.has(fingerprint)),
  )
}

/** Resolves the open alert of a cause, if there is one. */
export function resolveAlert(change: Change, fingerprint: string): Promise<void> {
  return resolveAlerts(change, [fingerprint])
}

export async function resolveAlerts(change: Change, fingerprints: readonly string[]): Promise<void> {
  if (fingerprints.length === 0) return
  await change.tx.query(
    'update control.alerts set resolved_at = now() where fingerprint = any($1) and resolved_at is null',
    [fingerprints],
  )
}

/** Resolves the open alerts of a kind but those that are still the case. */
export async function resolveOthers(change: Change, kind: string, stillOpen: readonly string[]): Promise<void> {
  await change.tx.query(
    'update control.alerts set resolved_at = now() where kind = $1 and resolved_at is null and fingerprint <> all ($2)',
    [kind, stillOpen],
  )
}

/** Alerts, newest first, after the id `before`. */
export async function listAlerts(
  db: Queryable,
  filter: {
    isOpen?: boolean | undefined
    tenantId?: string | undefined
    kind?: string | undefined
    before?: string | undefined
    limit: number
  },
): Promise<AlertRow[]> {
  const result = await db.query<AlertRow>(
    `select * from control.alerts
     where ($1::boolean is null or (resolved_at is null) = $1) and ($2::text is null or tenant_id = $2)
       and ($3::text is null or alert_id < $3) and ($4::text is null or kind = $4)
     order by alert_id desc limit $5`,
    [filter.isOpen ?? null, filter.tenantId ?? null, filter.before ?? null, filter.kind ?? null, filter.limit],
  )
  return result.rows
}
