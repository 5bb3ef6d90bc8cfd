import { LRUCache } from 'lru-cache'
import { parseTenantSnapshot, type TenantSnapshot, type TenantSnapshotKey } from '../tenancy/snapshot.ts'
import { EndpointTemplates } from './endpoint-template.ts'
import { Principal } from './principal.ts'

/** Verified credentials kept per tenant; the least recently used goes first. */
const MAX_PRINCIPALS = 256

/**
 * A tenant as this worker knows it: the published snapshot and everything that was verified on its ground. All of it is
 * dropped with the snapshot, so no decision outlives what it was taken on.
 */
export class TenantEntry {
  readonly snapshot: TenantSnapshot
  readonly keysByDigest: ReadonlyMap<string, TenantSnapshotKey>
  readonly endpoints = new EndpointTemplates()
  /** For `GET /health`, which needs no key. */
  readonly nobody = new Principal('anon', null, null, Number.POSITIVE_INFINITY)
  /** What was seen of the tenant in this turn and what was told of it when: the signal board's, a number each. */
  marks = 0
  toldMarks = 0
  toldTurn = 0
  /** By the credentials as sent. Made with the first one: most of 10 000 cached tenants are asked by one or two keys. */
  #principals: Map<string, Principal> | LRUCache<string, Principal> = new Map()

  constructor(snapshot: TenantSnapshot) {
    this.snapshot = snapshot
    this.keysByDigest = new Map(snapshot.keys.map((key) => [key.digest, key]))
  }

  findPrincipal(credentials: string): Principal | undefined {
    return this.#principals.get(credentials)
  }

  keepPrincipal(credentials: string, principal: Principal): void {
    if (this.#principals instanceof Map && this.#principals.size >= 8) {
      const grown = new LRUCache<string, Principal>({ max: MAX_PRINCIPALS })
      for (const [key, value] of this.#principals) grown.set(key, value)
      this.#principals = grown
    }
    this.#principals.set(credentials, principal)
  }
}

/** @throws when `document` is not a snapshot. */
export function parseTenantEntry(document: string): TenantEntry {
  return new TenantEntry(parseTenantSnapshot(document))
}
