import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { LRUCache } from 'lru-cache'
import { Agent, type Dispatcher, request } from 'undici'
import type { Clock } from './clock.ts'
import { Problem } from './problem.ts'
import { guardedLookup, isPublicHost } from './public-address.ts'

const FRESH_MS = 10 * 60_000
/** A token with an unknown `kid` may ask for the keys again, this often at most: that is how a rotated key is found. */
const UNKNOWN_KEY_REFETCH_MS = 10_000
const FIRST_BACK_OFF_MS = 1_000
const MAX_BACK_OFF_MS = 60_000
const TIMEOUT_MS = 3_000
const MAX_BODY_BYTES = 256 * 1024
const MAX_URLS = 5_000

type Slot = {
  keys: JWTVerifyGetKey | undefined
  fetchedAtMs: number
  failures: number
  nextTryMs: number
  loading: Promise<void> | undefined
}

/** Key sets (RFC 7517) by URL: cached, fetched once for many callers, kept while the URL fails, asked ever more rarely then. */
export class JwksCache {
  readonly #slots = new LRUCache<string, Slot>({ max: MAX_URLS })
  readonly #dispatcher: Dispatcher
  readonly #allowPrivate: boolean
  readonly #clock: Clock

  constructor(options: { allowPrivate: boolean; clock: Clock }) {
    this.#allowPrivate = options.allowPrivate
    this.#clock = options.clock
    this.#dispatcher = new Agent({
      connections: 2,
      connect: { timeout: TIMEOUT_MS, ...(options.allowPrivate ? {} : { lookup: guardedLookup }) },
    })
  }

  /**
   * A key source for `jwtVerify`. An unknown `kid` has the set fetched again, at most every ten seconds.
   * @throws Problem 503 when there is no set yet and none can be had.
   */
  async keysOf(url: string): Promise<JWTVerifyGetKey> {
    let slot = this.#slots.get(url)
    if (slot === undefined) {
      slot = { keys: undefined, fetchedAtMs: Number.NEGATIVE_INFINITY, failures: 0, nextTryMs: 0, loading: undefined }
      this.#slots.set(url, slot)
    }
    const current = slot
    if (this.#clock.nowMs() - current.fetchedAtMs > FRESH_MS) await this.#refresh(url, current)
    return async (header, token) => {
      const keys = current.keys
      if (keys === undefined) throw unavailable()
      try {
        return await keys(header, token)
      } catch (fault) {
        if (this.#clock.nowMs() - current.fetchedAtMs < UNKNOWN_KEY_REFETCH_MS) throw fault
        await this.#refresh(url, current)
        return (current.keys ?? keys)(header, token)
      }
    }
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy()
  }

  async #refresh(url: string, slot: Slot): Promise<void> {
    if (this.#clock.nowMs() < slot.nextTryMs) {
      if (slot.keys === undefined) throw unavailable()
      return
    }
    slot.loading ??= this.#fetch(url)
      .then((keys) => {
        slot.keys = createLocalJWKSet(keys)
        slot.fetchedAtMs = this.#clock.nowMs()
        slot.failures = 0
      })
      .catch((fault: unknown) => {
        slot.nextTryMs = this.#clock.nowMs() + Math.min(FIRST_BACK_OFF_MS * 2 ** slot.failures, MAX_BACK_OFF_MS)
        slot.failures++
        if (slot.keys === undefined) throw unavailable(fault)
      })
      .finally(() => {
        slot.loading = undefined
      })
    await slot.loading
  }

  async #fetch(url: string): Promise<JSONWebKeySet> {
    const { protocol, hostname } = new URL(url)
    if (protocol !== 'https:' && !(protocol === 'http:' && this.#allowPrivate)) throw new Error('A JWKS URL is https')
    if (!this.#allowPrivate && !isPublicHost(hostname)) throw new Error('A JWKS URL names a public host')
    // No redirects are followed: each would be a way around the guard.
    const { statusCode, body } = await request(url, {
      dispatcher: this.#dispatcher,
      headers: { accept: 'application/jwk-set+json, application/json' },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(2 * TIMEOUT_MS),
    })
    // Undici tells a destroyed body of its own abort; without a listener that would end the process.
    body.on('error', () => {})
    if (statusCode !== 200) {
      body.destroy()
      throw new Error(`The JWKS URL answered ${statusCode}`)
    }
    let size = 0
    const chunks: Buffer[] = []
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_BODY_BYTES) throw new Error('The JWKS is too large')
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as JSONWebKeySet
  }
}

function unavailable(cause?: unknown): Problem {
  return new Problem(503, 'jwks_unavailable', {
    detail: 'The JWKS cannot be fetched at the moment.',
    headers: { 'Retry-After': '5' },
    cause,
  })
}
