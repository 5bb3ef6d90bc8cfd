import { LRUCache } from 'lru-cache'
import type { BackendRef } from '../tenancy/snapshot.ts'
import type { Upstream } from './upstream.ts'

/** Backends whose connections are kept at once. */
const MAX_BACKENDS = 1_000

/** How connections are made: to a backend of ours, and to an HTTP server that somebody registered. */
export type Connect = {
  own(origin: string): Upstream
  registered(origin: string, pipelining: number): Upstream
}

/** The upstreams of every backend: made with the first request, closed when long unused. */
export class Upstreams {
  readonly #connect: Connect
  readonly #byOrigin: LRUCache<string, Upstream>
  readonly #shared: readonly Upstream[]
  #next = 0

  constructor(sharedUrls: readonly string[], connect: Connect) {
    this.#connect = connect
    this.#shared = sharedUrls.map((url) => connect.own(new URL(url).origin))
    this.#byOrigin = new LRUCache({ max: MAX_BACKENDS, dispose: (upstream) => void upstream.close() })
  }

  /** An upstream of the backend; `undefined` when it has no address yet. Addresses take turns. */
  of(backend: BackendRef): Upstream | undefined {
    if (backend.kind === 'shared' && backend.urls.length === 0) return this.#shared[this.#next++ % this.#shared.length]
    const url = backend.urls[this.#next++ % backend.urls.length]
    return url === undefined ? undefined : this.#at(new URL(url).origin, backend)
  }

  #at(origin: string, { kind, pipelining }: BackendRef): Upstream {
    const key = `${kind} ${pipelining} ${origin}`
    let upstream = this.#byOrigin.get(key)
    if (upstream === undefined) {
      upstream = kind === 'registered' ? this.#connect.registered(origin, pipelining) : this.#connect.own(origin)
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
