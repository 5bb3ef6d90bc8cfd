import type { RedisClient } from '../runtime/redis.ts'
import {
  ANNOUNCE_CHANNEL,
  type Announcement,
  CHANGES_KEY,
  COMPLETE_KEY,
  type DirectoryKind,
  documentKey,
} from './directory-keys.ts'

/** Replaces the document unless the stored one is as new: an old snapshot never overtakes a newer one. */
const PUBLISH_IF_NEWER = `
local stored = redis.call('HGET', KEYS[1], 'version')
if stored and tonumber(stored) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'document', ARGV[2])
if ARGV[3] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[3]) else redis.call('PERSIST', KEYS[1]) end
return 1
`

/** Removes the document unless it is newer than what was known of it, and its trace in the change log. */
const WITHDRAW = `
local stored = redis.call('HGET', KEYS[1], 'version')
if not stored or tonumber(stored) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1
`

/** The writing side of the directory; only control has one. */
export class DirectoryPublisher {
  readonly #redis: RedisClient

  constructor(redis: RedisClient) {
    this.#redis = redis
  }

  /**
   * Publishes one document and announces it. Side effects in order: (1) the document, (2) the change log, (3) the
   * announcement. A crash between (1) and (3) leaves readers with the old document until control publishes again on
   * start, or until they re-read it; publishing the same version again is harmless.
   * @returns false when the stored document is as new or newer.
   */
  async publish(
    kind: DirectoryKind,
    key: string,
    version: number,
    document: string,
    options: { ttlSeconds?: number } = {},
  ): Promise<boolean> {
    const written = await this.#redis.eval(
      PUBLISH_IF_NEWER,
      1,
      documentKey(kind, key),
      version,
      document,
      options.ttlSeconds?.toString() ?? '',
    )
    await this.#redis.zadd(CHANGES_KEY, version, `${kind}:${key}`)
    const announcement: Announcement = { kind, key, version }
    await this.#redis.publish(ANNOUNCE_CHANNEL, JSON.stringify(announcement))
    return written === 1
  }

  /**
   * Removes the document of what is gone for good, unless one newer than `version` is there (the name is another's by
   * now), and announces it.
   * @returns false when nothing was removed.
   */
  async withdraw(kind: DirectoryKind, key: string, version: number): Promise<boolean> {
    const removed = await this.#redis.eval(WITHDRAW, 1, documentKey(kind, key), version)
    if (removed !== 1) return false
    await this.#redis.zrem(CHANGES_KEY, `${kind}:${key}`)
    const announcement: Announcement = { kind, key, version: version + 1 }
    await this.#redis.publish(ANNOUNCE_CHANNEL, JSON.stringify(announcement))
    return true
  }

  /** Declares that every living tenant is published: from now on an absent document means an unknown tenant. */
  async markComplete(): Promise<void> {
    await this.#redis.set(COMPLETE_KEY, '1')
  }

  /** False after Redis has lost its data: then everything has to be published again. */
  async isComplete(): Promise<boolean> {
    return (await this.#redis.get(COMPLETE_KEY)) === '1'
  }
}
