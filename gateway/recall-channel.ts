import type { RedisClient } from '../runtime/redis.ts'
import type { OwnerLiveness } from './owner-liveness.ts'

/** Where limits that are leased speak to each other: `<limit> <verb> <tenant id> <owner>`. */
export const RECALL_CHANNEL = 'aerodb:limits'

export type RecallListener = {
  /** Another owner is short of this tenant's allowance: give back what is not needed. */
  onRecall(tenantId: string): void
  /** Somebody has answered a recall: who is short may ask again. */
  onAnswer(tenantId: string): void
}

/**
 * Recalls of leased allowance between all workers of all gateways. They are only needed near a limit, where one worker is
 * short while another holds what it does not use; a lost message costs a short wait, never exactness.
 */
export class RecallChannel {
  readonly #subscriber: RedisClient
  readonly #liveness: Pick<OwnerLiveness, 'owner'>
  readonly #listeners = new Map<string, RecallListener>()
  readonly #onMessage: (channel: string, text: string) => void

  constructor(subscriber: RedisClient, liveness: Pick<OwnerLiveness, 'owner'>) {
    this.#subscriber = subscriber
    this.#liveness = liveness
    this.#onMessage = (channel, text) => {
      if (channel === RECALL_CHANNEL) this.#dispatch(text)
    }
    subscriber.on('message', this.#onMessage)
    const subscribe = () => void subscriber.subscribe(RECALL_CHANNEL).catch(() => {})
    subscriber.on('ready', subscribe)
    if (subscriber.status === 'ready') subscribe()
  }

  listen(limit: string, listener: RecallListener): void {
    this.#listeners.set(limit, listener)
  }

  stop(): void {
    this.#subscriber.off('message', this.#onMessage)
  }

  #dispatch(text: string): void {
    const [limit = '', verb, tenantId = '', owner] = text.split(' ')
    if (owner === this.#liveness.owner) return
    const listener = this.#listeners.get(limit)
    if (verb === 'recall') listener?.onRecall(tenantId)
    else if (verb === 'answer') listener?.onAnswer(tenantId)
  }
}
