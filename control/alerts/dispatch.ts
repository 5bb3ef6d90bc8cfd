import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { AlertRow } from '../stores/alert-store.ts'
import { type Change, makeChange, type PublishTouched } from '../stores/change.ts'
import { emitEvent } from '../stores/webhook-store.ts'
import { makeNotice, type Notice } from './notice.ts'
import { isSilencedSql } from './silence-store.ts'

/** Tenants of one dead server are found one after the other: their alerts wait so long for each other. */
const GROUP_WAIT_SECONDS = 3
/** Once a group was told, what joins it is told after this at the earliest. */
const GROUP_INTERVAL_SECONDS = 300
const LIMIT = 20_000

/** Puts a notice on its way in the transaction that marks its alerts as told: nothing is told twice or forgotten. */
export type Channel = (change: Change, notice: Notice) => Promise<void>

/** Every webhook that wants the event is sent it, signed and repeated until it is taken. */
export const webhookChannel: Channel = (change, { event, ...data }) => emitEvent(change, event, data)

/**
 * Tells what was opened and what is over since the last dispatch, one notice a group. One replica at a time; the others find
 * nothing left. Alerts that are silenced wait; those that end meanwhile are never told.
 */
export async function dispatchAlerts(options: {
  pool: PostgresPool
  publish: PublishTouched
  channels: readonly Channel[]
}): Promise<void> {
  const waiting = await options.pool.query(
    `select from control.alerts where told_at is null or (resolved_at is not null and end_told_at is null) limit 1`,
  )
  if (waiting.rowCount === 0) return
  await makeChange(options.pool, options.publish, async (change) => {
    const lock = await change.tx.query<{ taken: boolean }>(
      `select pg_try_advisory_xact_lock(hashtext('control.alert-dispatch')) as taken`,
    )
    if (lock.rows[0]?.taken !== true) return
    await passOverSilenced(change)
    for (const event of ['alert.opened', 'alert.resolved'] as const) {
      const alerts = event === 'alert.opened' ? await takeOpened(change) : await takeResolved(change)
      for (const group of Map.groupBy(alerts, (alert) => alert.group_key).values()) {
        const notice = makeNotice(event, group)
        for (const channel of options.channels) await channel(change, notice)
      }
    }
  })
}

/** What ended while it was silenced is nobody's business any more. */
async function passOverSilenced(change: Change): Promise<void> {
  await change.tx.query(
    `update control.alerts alert set told_at = now(), end_told_at = now()
     where told_at is null and resolved_at is not null and ${isSilencedSql('now()')}`,
  )
}

/** Marks what is to be told as opened. A group that was told lately keeps what joined it until its interval is over. */
async function takeOpened(change: Change): Promise<AlertRow[]> {
  const result = await change.tx.query<AlertRow>(
    `update control.alerts set told_at = now() where alert_id in (
       select alert_id from control.alerts alert
       where told_at is null and not ${isSilencedSql('now()')}
         and (alert.group_key = alert.fingerprint or (
           not exists (select from control.alerts told where told.group_key = alert.group_key
             and told.resolved_at is null and told.told_at > now() - make_interval(secs => $1))
           and exists (select from control.alerts first where first.group_key = alert.group_key
             and first.told_at is null and first.opened_at <= now() - make_interval(secs => $2))))
       order by opened_at limit $3)
     returning *`,
    [GROUP_INTERVAL_SECONDS, GROUP_WAIT_SECONDS, LIMIT],
  )
  return result.rows
}

/** Marks what is to be told as over: of a group, once none that was told is open any more. */
async function takeResolved(change: Change): Promise<AlertRow[]> {
  const result = await change.tx.query<AlertRow>(
    `update control.alerts set end_told_at = now() where alert_id in (
       select alert_id from control.alerts alert
       where resolved_at is not null and end_told_at is null and told_at is not null
         and not exists (select from control.alerts other where other.group_key = alert.group_key
           and other.resolved_at is null and other.told_at is not null)
       limit $1)
     returning *`,
    [LIMIT],
  )
  return result.rows
}
