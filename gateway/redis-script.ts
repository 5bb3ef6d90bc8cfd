import { createHash } from 'node:crypto'
import type { RedisClient } from '../runtime/redis.ts'

/** A Lua script, run by its digest; sent whole once to each server that does not know it yet. */
export class RedisScript {
  readonly #text: string
  readonly #digest: string

  constructor(text: string) {
    this.#text = text
    this.#digest = createHash('sha1').update(text).digest('hex')
  }

  async run(redis: RedisClient, key: string, ...args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#digest, 1, key, ...args)
    } catch (fault) {
      if (!(fault instanceof Error) || !fault.message.startsWith('NOSCRIPT')) throw fault
      return redis.eval(this.#text, 1, key, ...args)
    }
  }
}
