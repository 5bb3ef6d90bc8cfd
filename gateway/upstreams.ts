import { LRUCache } from 'lru-cache'
import type { BackendRef } from '../tenancy/snapshot.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import type { Upstream } from './upstream.ts'

/** Backends whose connections are kept at once. */
const MAX_BACKENDS = 1_000

/** How connections are made: to a backend of ours, and to an HTTP server that somebody registered. */
export type Connect = {
  own(origin: string): CircuitBreaker
  registered(origin: string, pipelining: number): CircuitBreaker
}

/** The upstreams of every backend: made with the first request, closed when long unused. */
export class Upstreams {
  readonly #connect: Connect
  readonly #byOrigin: LRUCache<string, CircuitBreaker>
  readonly #shared: readonly CircuitBreaker[]
  #next = 0

  constructor(sharedUrls: readonly string[], connect: Connect) {
    this.#connect = connect
    this.#shared = sharedUrls.map((url) => connect.own(new URL(url).origin))
    this.#byOrigin = new LRUCache({ max: MAX_BACKENDS, dispose: (upstream) => void upstream.close() })
  }

  /** An upstream of the backend; `undefined` when it has no address yet. Addresses take turns. */
  of(backend: BackendRef): CircuitBreaker | undefined {
    if (backend.kind === 'shared' && backend.urls.length === 0) return this.#choose(this.#shared)
    const chosen = this.#choose(backend.urls.map((url) => this.#at(originOf(url), backend)))
    // The shared backends serve any tenant of ours: nobody waits for the one that it has for itself.
    if (backend.kind === 'dedicated' && chosen?.isAvailable !== true) return this.#choose(this.#shared) ?? chosen
    return chosen
  }

  /** True when a request that one address did not take may go to another. */
  hasOthers(backend: BackendRef): boolean {
    if (backend.kind === 'shared' && backend.urls.length === 0) return this.#shared.length > 1
    return backend.urls.length + (backend.kind === 'dedicated' ? this.#shared.length : 0) > 1
  }

  /**
   * Another address, for a request that those which were tried did not take: one that does not rest; where all do, one that
   * turns requests away at once, as it may be back by now.
   */
  another(backend: BackendRef, tried: ReadonlySet<Upstream>): Upstream | undefined {
    const own = backend.urls.map((url) => this.#at(originOf(url), backend))
    const isOurs = backend.kind === 'dedicated' || (backend.kind === 'shared' && own.length === 0)
    const candidates = isOurs ? [...own, ...this.#shared] : own
    return (
      candidates.find((candidate) => candidate.isAvailable && !tried.has(candidate)) ??
      candidates.find((candidate) => candidate.refusesAtOnce && !tried.has(candidate.regardless))?.regardless
    )
  }

  /** The next in turn that is not resting; when all rest, the next in turn, which then fails at once. */
  #choose(candidates: readonly CircuitBreaker[]): CircuitBreaker | undefined {
    if (candidates.length === 1) return candidates[0]
    const first = this.#next++
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[(first + i) % candidates.length]
      if (candidate?.isAvailable === true) return candidate
    }
    return candidates[first % candidates.length]
  }

  #at(origin: string, { kind, pipelining }: BackendRef): CircuitBreaker {
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
  const origin = originOf(url)
  // Most are an origin and nothing more.
  if (url.length - origin.length < 2) return ''
  const { pathname } = new URL(url)
  return pathname.endsWith('/') ? pathname.slice(0, -1) : pathname
}

const origins = new Map<string, string>()

/** The origin of a URL, remembered. */
function originOf(url: string): string {
  let origin = origins.get(url)
  if (origin === undefined) {
    origin = new URL(url).origin
    if (origins.size >= MAX_BACKENDS) origins.clear()
    origins.set(url, origin)
  }
  return origin
}
