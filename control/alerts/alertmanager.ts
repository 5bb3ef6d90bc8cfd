import { request } from 'undici'
import type { Clock } from '../../runtime/clock.ts'
import { inTransaction, type PostgresPool } from '../../runtime/postgres-pool.ts'
import type { AlertRow } from '../stores/alert-store.ts'
import { isSilencedSql } from './silence-store.ts'

const BATCH = 500
const TIMEOUT_MS = 5_000
/** All open alerts are sent again after this, as Alertmanager expects of its clients: it forgets what is not repeated. */
const REPEAT_MS = 30_000
/** How long Alertmanager holds an alert for open without hearing of it again. */
const KEEP_MS = 300_000
/** Ends are told for so long, in case it was away. */
const TELL_END_MS = 600_000
/** Looks overlap by this: what was committed late is not missed. */
const OVERLAP_MS = 15_000

/**
 * Tells an Alertmanager (its API v2) what is open and what has ended. It groups, routes and silences by rules of its own; ours
 * decide only what is never told. It is idempotent there, so nothing need be kept of it here.
 */
export class AlertmanagerFeed {
  readonly #pool: PostgresPool
  readonly #url: string
  readonly #clock: Clock
  #toldMs = Number.NEGATIVE_INFINITY
  #toldAllMs = Number.NEGATIVE_INFINITY

  /** @param options.url where Alertmanager is, without `/api/v2`. */
  constructor(options: { pool: PostgresPool; url: string; clock: Clock }) {
    this.#pool = options.pool
    this.#url = `${options.url.replace(/\/+$/, '')}/api/v2/alerts`
    this.#clock = options.clock
  }

  /** Sends what has changed, or all when its time has come. @throws when Alertmanager does not take it: it is sent next time. */
  async tell(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const tellsAll = nowMs - this.#toldAllMs >= REPEAT_MS
    await inTransaction(this.#pool, async (tx) => {
      // One replica is enough; were there two, nothing would be wrong.
      const lock = await tx.query<{ taken: boolean }>(
        `select pg_try_advisory_xact_lock(hashtext('control.alertmanager')) as taken`,
      )
      if (lock.rows[0]?.taken !== true) return
      const since = new Date(tellsAll ? nowMs - TELL_END_MS : this.#toldMs - OVERLAP_MS)
      const { rows } = await tx.query<AlertRow>(
        `select * from control.alerts alert
         where ((resolved_at is null and ($1 or opened_at > $2)) or resolved_at > $2) and not ${isSilencedSql('now()')}`,
        [tellsAll, since],
      )
      for (let at = 0; at < rows.length; at += BATCH) await this.#post(rows.slice(at, at + BATCH), nowMs)
    })
    this.#toldMs = nowMs
    if (tellsAll) this.#toldAllMs = nowMs
  }

  async #post(alerts: readonly AlertRow[], nowMs: number): Promise<void> {
    const { statusCode, body } = await request(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(alerts.map((alert) => toAlertmanager(alert, nowMs))),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await body.text()
    if (statusCode >= 300) throw new Error(`Alertmanager answered ${statusCode}: ${text.slice(0, 300)}`)
  }
}

function toAlertmanager(alert: AlertRow, nowMs: number) {
  return {
    labels: {
      alertname: alert.kind,
      severity: alert.severity,
      group: alert.group_key,
      cause: alert.fingerprint,
      service: 'aerodb',
      ...(alert.tenant_id === null ? {} : { tenant_id: alert.tenant_id }),
    },
    annotations: { summary: alert.detail, alert_id: alert.alert_id },
    startsAt: alert.opened_at.toISOString(),
    endsAt: (alert.resolved_at ?? new Date(nowMs + KEEP_MS)).toISOString(),
  }
}
