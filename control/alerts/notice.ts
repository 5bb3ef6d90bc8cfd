import { ALERT_SEVERITIES, type AlertRow } from '../stores/alert-store.ts'

/** Tenants that a notice names at most; the alerts themselves are in the list. */
const MAX_NAMED = 50

/** What is told of alerts of one group, in one message. */
export type Notice = {
  event: 'alert.opened' | 'alert.resolved'
  alert_id: string
  kind: string
  severity: AlertRow['severity']
  /** Set where the notice is of one tenant. */
  tenant_id: string | null
  detail: string
  group: string
  /** How many alerts it tells of, and the first tenants among them. */
  alerts: number
  tenant_ids: string[]
  attributes: Record<string, unknown>
  opened_at: string
  resolved_at: string | null
}

/** One notice of alerts of one group; the most severe speaks for all. */
export function makeNotice(event: Notice['event'], alerts: readonly AlertRow[]): Notice {
  const first = alerts.reduce((worst, alert) => (weightOf(alert) > weightOf(worst) ? alert : worst))
  const tenantIds = [...new Set(alerts.flatMap(({ tenant_id }) => (tenant_id === null ? [] : [tenant_id])))]
  const others = alerts.length - 1
  return {
    event,
    alert_id: first.alert_id,
    kind: first.kind,
    severity: first.severity,
    tenant_id: tenantIds.length === 1 ? (tenantIds[0] ?? null) : null,
    detail: others === 0 ? first.detail : `${first.detail} ${others} more of the same cause.`,
    group: first.group_key,
    alerts: alerts.length,
    tenant_ids: tenantIds.slice(0, MAX_NAMED),
    attributes: first.attributes,
    opened_at: alerts
      .reduce((at, alert) => (alert.opened_at < at ? alert.opened_at : at), first.opened_at)
      .toISOString(),
    resolved_at: first.resolved_at?.toISOString() ?? null,
  }
}

function weightOf(alert: AlertRow): number {
  return ALERT_SEVERITIES.indexOf(alert.severity)
}
