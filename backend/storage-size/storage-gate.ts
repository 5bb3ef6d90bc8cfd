import { LRUCache } from 'lru-cache'
import pg from 'pg'
import { objectsOfSchema } from '../../runtime/objects-of-schema.ts'
import { Problem } from '../../runtime/problem.ts'
import { contextStatement, type Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Outcome, Statement } from '../postgres/statement.ts'
import { readGuard, renderGuard } from '../rest/sql/guard.ts'

/** Writes of a tenant below this share of its quota are not checked in their transaction. */
const NEAR_SHARE = 0.8
/** How long a measured size is good for while the tenant is far from its quota. */
const SIZE_TTL_MS = 5_000
/** What one row can at most add to heap and indexes, and one byte of a body to TOAST: bounds, not estimates. */
const BYTES_PER_ROW = 16_384
const BYTES_PER_BODY_BYTE = 3

const SIZE = `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::text from pg_class c \
where c.oid = any ${objectsOfSchema('pg_class')} and c.relkind in ('r', 'm')`
const LOCK = 'select pg_advisory_xact_lock(1095062098, hashtext($1))'

type Known = { bytes: number; measuredAtMs: number; growthBytes: number }

/**
 * Keeps writes within the storage quota at next to no cost: a tenant that is far from it pays for one size query every few
 * seconds, and for a bound on what it wrote since. Near it, each write takes the tenant's lock and checks the size in its own
 * transaction, so that not more than the one request that crosses the line gets past it.
 */
export class StorageGate {
  readonly #known = new LRUCache<string, Known>({ max: 20_000 })
  readonly #measuring = new Map<string, Promise<Known>>()

  /**
   * Runs a write. @param bodyBytes the size of what is written, as the client sent it.
   * @throws Problem 507 `storage_quota_exceeded`.
   */
  async runWrite(
    server: Server,
    principal: Principal,
    quotaBytes: number,
    bodyBytes: number,
    write: readonly Statement[],
  ): Promise<Outcome> {
    let known = this.#known.get(principal.tenantId)
    if (known === undefined || performance.now() - known.measuredAtMs > SIZE_TTL_MS || isNear(known, quotaBytes))
      known = await this.#measure(server, principal)
    const growth = bodyBytes * BYTES_PER_BODY_BYTE
    known.growthBytes += growth
    const statements = [contextStatement(principal)]
    if (isNear(known, quotaBytes)) statements.push(lockStatement(principal), checkStatement(principal, quotaBytes))
    statements.push(...write)
    try {
      const outcome = await server.requests.run(principal.tenantId, statements)
      known.growthBytes += outcome.affectedRows * BYTES_PER_ROW
      return outcome
    } catch (fault) {
      if (fault instanceof pg.DatabaseError && readGuard(fault.message)?.reason === 'storage')
        throw new Problem(507, 'storage_quota_exceeded', {
          detail: 'The storage quota is used up. Reads and deletes still work.',
          cause: fault,
        })
      throw fault
    }
  }

  #measure(server: Server, principal: Principal): Promise<Known> {
    const running = this.#measuring.get(principal.tenantId)
    if (running !== undefined) return running
    const measuring = server.requests
      .run(principal.tenantId, [contextStatement(principal), { text: SIZE, values: [principal.schema] }])
      .then((outcome) => {
        const known = { bytes: Number(outcome.rows[0]?.[0] ?? 0), measuredAtMs: performance.now(), growthBytes: 0 }
        this.#known.set(principal.tenantId, known)
        return known
      })
      .finally(() => this.#measuring.delete(principal.tenantId))
    this.#measuring.set(principal.tenantId, measuring)
    return measuring
  }
}

function isNear(known: Known, quotaBytes: number): boolean {
  return known.bytes + known.growthBytes >= quotaBytes * NEAR_SHARE
}

function lockStatement(principal: Principal): Statement {
  return { text: LOCK, values: [principal.schema] }
}

/** Ends the transaction when the tenant's tables are as large as the quota already. */
function checkStatement(principal: Principal, quotaBytes: number): Statement {
  const values: string[] = [principal.schema, String(quotaBytes)]
  const guard = renderGuard({ bind: (value) => `$${values.push(value ?? '')}` }, 'storage', 's.bytes')
  return { text: `select case when s.bytes::bigint >= $2::bigint then ${guard} end from (${SIZE}) s(bytes)`, values }
}
