import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { countSeconds, joinSpans, subtractSpans } from '../sla/spans.ts'
import { type NewAlert, openAlerts, resolveAlerts } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'

type IncidentRow = {
  incident_id: string
  tenant_id: string
  name: string
  cause: string
  detail: string
  scope: string
  alert_state: 'none' | 'open'
  started_second: number
  ended_second: number | null
  maintenance: [number, number][]
}

/**
 * Opens an alert for each incident that has lasted for `afterSeconds` outside maintenance windows, and resolves it when the
 * incident is over. Incidents of one fault share a group. Whoever runs it second finds nothing left.
 */
export async function alertOfIncidents(options: {
  pool: PostgresPool
  publish: PublishTouched
  clock: Clock
  afterSeconds: number
}): Promise<void> {
  const { pool, publish, clock, afterSeconds } = options
  const waiting = await pool.query(`select from control.incidents where alert_state <> 'over' limit 1`)
  if (waiting.rowCount === 0) return
  const nowSecond = Math.floor(clock.nowMs() / 1_000)
  await makeChange(pool, publish, async (change) => {
    const { rows } = await change.tx.query<IncidentRow>(
      `select incident_id, incident.tenant_id, tenant.name, cause, detail, scope, alert_state,
         floor(extract(epoch from started_at))::float8 as started_second,
         ceil(extract(epoch from ended_at))::float8 as ended_second,
         coalesce((select json_agg(json_build_array(extract(epoch from w.starts_at), extract(epoch from w.ends_at)))
           from control.maintenance_windows w where (w.tenant_id is null or w.tenant_id = incident.tenant_id)
             and w.ends_at > incident.started_at), '[]') as maintenance
       from control.incidents incident join control.tenants tenant using (tenant_id)
       where alert_state <> 'over' for update of incident skip locked`,
    )
    const opening = rows.filter((row) => {
      if (row.alert_state !== 'none') return false
      const maintenance = joinSpans(row.maintenance.map(([from, until]) => ({ from, until })))
      const down = joinSpans([{ from: row.started_second, until: row.ended_second ?? nowSecond }])
      return countSeconds(subtractSpans(down, maintenance)) >= afterSeconds
    })
    await openAlerts(change, opening.map(makeAlert))
    const ended = rows.filter((row) => row.ended_second !== null)
    await resolveAlerts(change, ended.map(fingerprintOf))
    await setState(change.tx, 'open', opening)
    await setState(change.tx, 'over', ended)
  })
}

async function setState(
  tx: { query: (text: string, values: unknown[]) => Promise<unknown> },
  state: 'open' | 'over',
  rows: readonly IncidentRow[],
): Promise<void> {
  if (rows.length === 0) return
  await tx.query('update control.incidents set alert_state = $1 where incident_id = any($2)', [
    state,
    rows.map((row) => row.incident_id),
  ])
}

function makeAlert(row: IncidentRow): NewAlert {
  return {
    fingerprint: fingerprintOf(row),
    kind: 'tenant_unreachable',
    severity: 'critical',
    tenantId: row.tenant_id,
    detail: `${row.name} does not answer. ${row.detail}`,
    groupKey: `tenant_unreachable:${row.scope}`,
    attributes: {
      incident_id: row.incident_id,
      cause: row.cause,
      started_at: new Date(row.started_second * 1_000).toISOString(),
    },
  }
}

function fingerprintOf(row: Pick<IncidentRow, 'incident_id'>): string {
  return `tenant_unreachable:${row.incident_id}`
}
