import { makeId } from '../../runtime/ids.ts'
import type { EventType } from '../outreach/events.ts'
import type { Change, Queryable } from './change.ts'

export type WebhookRow = {
  webhook_id: string
  url: string
  description: string | null
  events: string[]
  sealed_secret: string
  created_at: Date
  disabled_at: Date | null
  failed_messages: number
}

export type DeliveryRow = {
  message_id: string
  webhook_id: string
  type: string
  payload: string
  status: 'pending' | 'delivered' | 'failed'
  attempts: number
  last_status: number | null
  last_error: string | null
  next_attempt_at: Date
  created_at: Date
  finished_at: Date | null
}

export async function insertWebhook(
  change: Change,
  webhook: Pick<WebhookRow, 'webhook_id' | 'url' | 'description' | 'events' | 'sealed_secret'>,
): Promise<WebhookRow> {
  const result = await change.tx.query<WebhookRow>(
    `insert into control.webhooks (webhook_id, url, description, events, sealed_secret)
     values ($1, $2, $3, $4, $5) returning *`,
    [webhook.webhook_id, webhook.url, webhook.description, webhook.events, webhook.sealed_secret],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Error('unreachable')
  return row
}

/** Webhooks, newest first, after the id `before`. */
export async function listWebhooks(
  db: Queryable,
  page: { before?: string | undefined; limit: number },
): Promise<WebhookRow[]> {
  const result = await db.query<WebhookRow>(
    'select * from control.webhooks where ($1::text is null or webhook_id < $1) order by webhook_id desc limit $2',
    [page.before ?? null, page.limit],
  )
  return result.rows
}

export async function findWebhook(db: Queryable, webhookId: string): Promise<WebhookRow | undefined> {
  const result = await db.query<WebhookRow>('select * from control.webhooks where webhook_id = $1', [webhookId])
  return result.rows[0]
}

export async function deleteWebhook(change: Change, webhookId: string): Promise<WebhookRow | undefined> {
  const result = await change.tx.query<WebhookRow>('delete from control.webhooks where webhook_id = $1 returning *', [
    webhookId,
  ])
  return result.rows[0]
}

/**
 * Notes an event for every webhook that wants it, and its deliveries as jobs, in the transaction of the change that it tells
 * of: what happened is told, what was rolled back is not.
 */
export async function emitEvent(change: Change, type: EventType, data: unknown): Promise<void> {
  const messageId = makeId('msg')
  const payload = JSON.stringify({ type, timestamp: new Date().toISOString(), data })
  await change.tx.query(
    `with made as (
       insert into control.webhook_deliveries (message_id, webhook_id, type, payload)
       select $1, webhook_id, $2, $3 from control.webhooks
       where disabled_at is null and (events = '{}' or $2 = any(events))
       returning webhook_id)
     select graphile_worker.add_job('webhook', json_build_object('message_id', $1::text, 'webhook_id', webhook_id),
       job_key := $1::text || ':' || webhook_id, max_attempts := 1) from made`,
    [messageId, type, payload],
  )
}

/** Takes a delivery that is due, so that no other process sends it in the next `leaseSeconds`. */
export async function takeDelivery(
  db: Queryable,
  messageId: string,
  webhookId: string,
  leaseSeconds: number,
): Promise<DeliveryRow | undefined> {
  const result = await db.query<DeliveryRow>(
    `update control.webhook_deliveries set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $3)
     where message_id = $1 and webhook_id = $2 and status = 'pending' and next_attempt_at <= now() returning *`,
    [messageId, webhookId, leaseSeconds],
  )
  return result.rows[0]
}

/** Ends a delivery, or sets when it is tried again. */
export async function recordAttempt(
  change: Change,
  delivery: Pick<DeliveryRow, 'message_id' | 'webhook_id'>,
  outcome: { status: DeliveryRow['status']; lastStatus: number | null; lastError: string | null; retrySeconds: number },
): Promise<void> {
  await change.tx.query(
    `update control.webhook_deliveries
     set status = $3::text, last_status = $4, last_error = $5, next_attempt_at = now() + make_interval(secs => $6),
         finished_at = case when $3::text = 'pending' then null else now() end
     where message_id = $1 and webhook_id = $2`,
    [
      delivery.message_id,
      delivery.webhook_id,
      outcome.status,
      outcome.lastStatus,
      outcome.lastError,
      outcome.retrySeconds,
    ],
  )
  if (outcome.status === 'pending')
    await change.tx.query(
      `select graphile_worker.add_job('webhook', json_build_object('message_id', $1::text, 'webhook_id', $2::text),
         job_key := $1::text || ':' || $2::text, max_attempts := 1, run_at := now() + make_interval(secs => $3))`,
      [delivery.message_id, delivery.webhook_id, outcome.retrySeconds],
    )
}

/** Counts messages in a row that could not be delivered; at `limit` the webhook is given up. Returns whether it was now. */
export async function countFailedMessage(change: Change, webhookId: string, limit: number): Promise<boolean> {
  const result = await change.tx.query<{ disabled_at: Date | null }>(
    `update control.webhooks set failed_messages = failed_messages + 1,
       disabled_at = case when failed_messages + 1 >= $2 then now() end
     where webhook_id = $1 and disabled_at is null returning disabled_at`,
    [webhookId, limit],
  )
  return result.rows[0]?.disabled_at instanceof Date
}

export async function resetFailedMessages(change: Change, webhookId: string): Promise<void> {
  await change.tx.query(
    'update control.webhooks set failed_messages = 0 where webhook_id = $1 and failed_messages > 0',
    [webhookId],
  )
}

/** Queues deliveries whose time is well past: the process that had them died. */
export async function requeueDeliveries(db: Queryable): Promise<void> {
  await db.query(
    `select graphile_worker.add_job('webhook', json_build_object('message_id', message_id, 'webhook_id', webhook_id),
       job_key := message_id || ':' || webhook_id, max_attempts := 1)
     from control.webhook_deliveries where status = 'pending' and next_attempt_at < now() - interval '10 seconds' limit 200`,
  )
}

/** The last deliveries of a webhook, newest first. */
export async function listDeliveries(db: Queryable, webhookId: string, limit: number): Promise<DeliveryRow[]> {
  const result = await db.query<DeliveryRow>(
    'select * from control.webhook_deliveries where webhook_id = $1 order by created_at desc, message_id desc limit $2',
    [webhookId, limit],
  )
  return result.rows
}
