import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../runtime/log.ts'
import { onRedisLoss, type RedisClient } from '../../../runtime/redis.ts'
import type { BroadcastBody } from '../wire/message.ts'
import type { Bus } from './bus.ts'
import { instanceOf, PresenceStore } from './presence-store.ts'
import { publishBroadcast, Topic, type TopicId, type TopicMember, topicKey } from './topic.ts'

/** The topics in which clients of this process take part. */
export class Topics {
  readonly presences: PresenceStore
  readonly #bus: Bus
  readonly #topics = new Map<string, Topic>()
  readonly #joinTimeoutMs: number

  /** @param options.joinTimeoutMs how long a join waits for Redis; then it hears other processes only once Redis is back. */
  constructor(options: { bus: Bus; redis: RedisClient; joinTimeoutMs: number; beatMs?: number; log: Logger }) {
    this.#bus = options.bus
    this.#joinTimeoutMs = options.joinTimeoutMs
    this.presences = new PresenceStore({
      redis: options.redis,
      instanceId: options.bus.instanceId,
      onPeerDead: (id) => {
        for (const topic of this.#topics.values()) topic.dropPresences((ref) => instanceOf(ref) === id)
      },
      log: options.log,
      ...(options.beatMs === undefined ? {} : { beatMs: options.beatMs }),
    })
    // Listening and writing are two connections, and either may be back first: what is told before the second one is, is lost.
    const resync = async (): Promise<void> => {
      await this.presences.renewLease().catch(() => {})
      for (const topic of this.#topics.values()) topic.resync()
    }
    options.bus.onGap(() => void resync())
    onRedisLoss(options.redis, () => void resync())
  }

  /** Lets a member in; resolves when nothing that is said from now on is missed. */
  async enter(id: TopicId, member: TopicMember): Promise<Topic> {
    const key = topicKey(id)
    let topic = this.#topics.get(key)
    if (topic === undefined) {
      topic = new Topic(id, this.#bus, this.presences)
      topic.subscribed.catch(() => {})
      this.#topics.set(key, topic)
    }
    topic.add(member)
    const deadline = new AbortController()
    await Promise.race([
      topic.subscribed.catch(() => {}),
      sleep(this.#joinTimeoutMs, undefined, { signal: deadline.signal, ref: false }).catch(() => {}),
    ])
    deadline.abort()
    return topic
  }

  leave(topic: Topic, member: TopicMember): void {
    topic.delete(member)
    if (topic.size > 0) return
    const key = topicKey(topic.id)
    if (this.#topics.get(key) !== topic) return
    this.#topics.delete(key)
    topic.close()
  }

  /** A broadcast from outside a channel. */
  broadcast(id: TopicId, body: BroadcastBody): void {
    const topic = this.#topics.get(topicKey(id))
    if (topic === undefined) publishBroadcast(this.#bus, id, body)
    else topic.broadcast(body)
  }

  get size(): number {
    return this.#topics.size
  }

  async close(): Promise<void> {
    await this.presences.close()
  }
}
