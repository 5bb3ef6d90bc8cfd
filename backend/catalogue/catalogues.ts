import { LRUCache } from 'lru-cache'
import { contextStatement, type Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Catalogue } from './catalogue.ts'
import { loadCatalogueStatement, parseCatalogue } from './load-catalogue.ts'

type Slot = { catalogue: Catalogue; loadedAtMs: number }

/** How long a catalogue is believed while the server's changes are not being heard. */
const UNHEARD_TTL_MS = 1_000

/**
 * The schema cache of this process: a bounded number of tenants' catalogues, read on first use and dropped when the server
 * tells of a change. Readers of the same schema share one load, unless the load began before they could rely on it.
 */
export class Catalogues {
  readonly #cache: LRUCache<string, Slot>
  readonly #loading = new Map<string, { promise: Promise<Catalogue>; startedAtMs: number }>()
  /** Schemas that changed while their load was under way: what was read may be old, so it is not kept. */
  readonly #dirty = new Set<string>()

  constructor(maxBytes: number) {
    this.#cache = new LRUCache({ maxSize: maxBytes, sizeCalculation: (slot) => slot.catalogue.weight })
  }

  /** The cached catalogue, when it can be believed. */
  peek(server: Server, schema: string): Catalogue | undefined {
    const slot = this.#cache.get(cacheKey(server.name, schema))
    if (slot === undefined) return undefined
    if (!server.session.isListening && performance.now() - slot.loadedAtMs > UNHEARD_TTL_MS) return undefined
    return slot.catalogue
  }

  /** The cached catalogue, or a load. */
  async get(server: Server, principal: Principal): Promise<Catalogue> {
    return this.peek(server, principal.schema) ?? this.#load(server, principal, 0)
  }

  /** A catalogue read after this call: for when the cached one does not know what the caller names. */
  async getFresh(server: Server, principal: Principal): Promise<Catalogue> {
    return this.#load(server, principal, performance.now())
  }

  /** Forgets one schema. */
  drop(server: string, schema: string): void {
    const key = cacheKey(server, schema)
    this.#cache.delete(key)
    if (this.#loading.has(key)) this.#dirty.add(key)
  }

  /** Forgets a server's schemas: changes may have been missed. */
  dropServer(server: string): void {
    for (const key of [...this.#cache.keys()]) if (key.startsWith(`${server}/`)) this.#cache.delete(key)
    for (const key of this.#loading.keys()) if (key.startsWith(`${server}/`)) this.#dirty.add(key)
  }

  get size(): number {
    return this.#cache.size
  }

  #load(server: Server, principal: Principal, notBeforeMs: number): Promise<Catalogue> {
    const key = cacheKey(server.name, principal.schema)
    const running = this.#loading.get(key)
    if (running !== undefined && running.startedAtMs >= notBeforeMs) return running.promise
    const startedAtMs = performance.now()
    this.#dirty.delete(key)
    const promise = server.requests
      .run(principal.tenantId, [contextStatement(principal), loadCatalogueStatement(principal.schema)])
      .then((outcome) => {
        const catalogue = parseCatalogue(principal.schema, outcome.rows[0]?.[0] ?? '')
        const isNewest = this.#loading.get(key)?.promise === promise
        if (isNewest && !this.#dirty.has(key)) this.#cache.set(key, { catalogue, loadedAtMs: startedAtMs })
        return catalogue
      })
      .finally(() => {
        if (this.#loading.get(key)?.promise === promise) {
          this.#loading.delete(key)
          this.#dirty.delete(key)
        }
      })
    this.#loading.set(key, { promise, startedAtMs })
    return promise
  }
}

function cacheKey(server: string, schema: string): string {
  return `${server}/${schema}`
}
