import { Agent, request } from 'undici'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { guardedLookup, isPublicHost } from '../../runtime/public-address.ts'
import type { Sealer } from '../../runtime/seal.ts'
import { openAlert } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import {
  countFailedMessage,
  type DeliveryRow,
  findWebhook,
  recordAttempt,
  resetFailedMessages,
  takeDelivery,
  type WebhookRow,
} from '../stores/webhook-store.ts'
import { signWebhook } from './webhook-signature.ts'

/** Seconds to the next attempt after the first, second, ... failed (the schedule Standard Webhooks recommends). */
export const RETRY_SECONDS: readonly number[] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
/** So many messages in a row that failed for good end a webhook. */
const GIVE_UP_AFTER = 10
const TIMEOUT_MS = 15_000
const LEASE_SECONDS = 60

/**
 * Delivers messages to webhooks, each at least once and in no promised order; the receiver tells repeats by `webhook-id`.
 * Redirects are not followed, and no private address is called unless that is allowed: checked where the connection is made.
 */
export class WebhookSender {
  readonly #pool: PostgresPool
  readonly #publish: PublishTouched
  readonly #sealer: Sealer
  readonly #clock: Clock
  readonly #log: Logger
  readonly #allowPrivate: boolean
  readonly #agent: Agent

  constructor(options: {
    pool: PostgresPool
    publish: PublishTouched
    sealer: Sealer
    clock: Clock
    log: Logger
    allowPrivate: boolean
  }) {
    this.#pool = options.pool
    this.#publish = options.publish
    this.#sealer = options.sealer
    this.#clock = options.clock
    this.#log = options.log
    this.#allowPrivate = options.allowPrivate
    this.#agent = new Agent({
      connect: { timeout: 5_000, ...(options.allowPrivate ? {} : { lookup: guardedLookup }) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      keepAliveTimeout: 4_000,
    })
  }

  /** Makes one attempt at a delivery, unless it has ended or another process makes one. */
  async deliver(messageId: string, webhookId: string): Promise<void> {
    const delivery = await takeDelivery(this.#pool, messageId, webhookId, LEASE_SECONDS)
    if (delivery === undefined) return
    const webhook = await findWebhook(this.#pool, webhookId)
    if (webhook === undefined) return
    const outcome = webhook.disabled_at === null ? await this.#send(webhook, delivery) : { error: 'disabled' }
    await makeChange(this.#pool, this.#publish, async (change) => {
      const retrySeconds = RETRY_SECONDS[delivery.attempts - 1]
      const isDelivered = 'status' in outcome && outcome.status >= 200 && outcome.status < 300
      const isOver = !isDelivered && (retrySeconds === undefined || webhook.disabled_at !== null || isGone(outcome))
      await recordAttempt(change, delivery, {
        status: isDelivered ? 'delivered' : isOver ? 'failed' : 'pending',
        lastStatus: 'status' in outcome ? outcome.status : null,
        lastError: 'error' in outcome ? outcome.error : null,
        // Up to a tenth more, so that many do not come back at once.
        retrySeconds: Math.round((retrySeconds ?? 0) * (1 + Math.random() / 10)),
      })
      if (isDelivered) await resetFailedMessages(change, webhookId)
      else if (isOver && (await countFailedMessage(change, webhookId, isGone(outcome) ? 1 : GIVE_UP_AFTER)))
        await openAlert(change, {
          fingerprint: `webhook_disabled:${webhookId}`,
          kind: 'webhook_disabled',
          severity: 'warning',
          tenantId: null,
          detail: `The webhook ${webhookId} was given up: its receiver does not take messages.`,
        })
    })
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #send(webhook: WebhookRow, delivery: DeliveryRow): Promise<{ status: number } | { error: string }> {
    const url = new URL(webhook.url)
    // A literal address is connected to without a look-up.
    if (!this.#allowPrivate && !isPublicHost(url.hostname)) return { error: 'the address is private' }
    try {
      const secret = this.#sealer.open(webhook.sealed_secret, `webhook:${webhook.webhook_id}`)
      const message = { id: delivery.message_id, payload: delivery.payload, nowMs: this.#clock.nowMs() }
      const response = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'AeroDB-Webhooks/1.0',
          ...signWebhook(secret, message),
        },
        body: delivery.payload,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      await response.body.dump({ limit: 64 * 1_024 })
      return { status: response.statusCode }
    } catch (fault) {
      const code = (fault as NodeJS.ErrnoException).code ?? (fault as Error).name
      this.#log.debug({ err: fault, webhook_id: webhook.webhook_id }, 'a webhook was not delivered')
      // Only the kind of failure is kept: its text could tell of what lies behind our network.
      return { error: code === 'EPRIVATE' ? 'the address is private' : `no answer (${code})` }
    }
  }
}

/** 410: the receiver does not want any more messages. */
function isGone(outcome: { status: number } | { error: string }): boolean {
  return 'status' in outcome && outcome.status === 410
}
