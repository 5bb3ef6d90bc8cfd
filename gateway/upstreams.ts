import { LRUCache } from 'lru-cache'
import type { BackendRef } from '../tenancy/snapshot.ts'
import type { Upstream } from './upstream.ts'

/** Backends whose connections are kept at once. */
const MAX_BACKENDS = 1_000

/** The upstreams of every backend: made with the first request, closed when long unused. */
export class Upstreams {
  readonly #sharedUrls: readonly string[]
  readonly #connect: (origin: string, pipelining: number) => Upstream
  readonly #byOrigin: LRUCache<string, Upstream>
  readonly #shared: readonly Upstream[]
  #next = 0

  /** @param sharedPipelining how many requests our own backends take on one connection. */
  constructor(
    sharedUrls: readonly string[],
    sharedPipelining: number,
    connect: (origin: string, pipelining: number) => Upstream,
  ) {
    this.#sharedUrls = sharedUrls
    this.#connect = connect
    this.#shared = this.#sharedUrls.map((url) => connect(new URL(url).origin, sharedPipelining))
    this.#byOrigin = new LRUCache({ max: MAX_BACKENDS, dispose: (upstream) => void upstream.close() })
  }

  /** An upstream of the backend; `undefined` when it has no address yet. Addresses take turns. */
  of(backend: BackendRef): Upstream | undefined {
    if (backend.kind === 'shared' && backend.urls.length === 0) return this.#shared[this.#next++ % this.#shared.length]
    const url = backend.urls[this.#next++ % backend.urls.length]
    return url === undefined ? undefined : this.at(new URL(url).origin, backend.pipelining)
  }

  /** The upstream at an origin. */
  at(origin: string, pipelining: number): Upstream {
    const key = `${pipelining} ${origin}`
    let upstream = this.#byOrigin.get(key)
    if (upstream === undefined) {
      upstream = this.#connect(origin, pipelining)
      this.#byOrigin.set(key, upstream)
    }
    return upstream
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shared, ...this.#byOrigin.values()].map((upstream) => upstream.close()))
  }
}

/** The path in front of which a registered backend's URL puts every request; empty for most. */
export function basePathOf(backend: BackendRef): string {
  const [url] = backend.urls
  if (url === undefined) return ''
  const { pathname } = new URL(url)
  return pathname.endsWith('/') ? pathname.slice(0, -1) : pathname
}
