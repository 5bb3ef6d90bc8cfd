import pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import type { ServerPool } from './server-pool.ts'
import type { Outcome, Statement } from './statement.ts'

/** A standby whose last known moment is older than this is not read from. */
const MAX_LAG_MS = 30_000
/** Where the standbys are is asked anew when the last answer is older. */
const SAMPLE_EVERY_MS = 250
const MAX_SAMPLES = 200

/**
 * What a standby cannot answer and its primary can: it is away, it ended a read to go on replaying (40001), or it does not know
 * yet what was made a moment ago.
 */
const FOR_THE_PRIMARY: ReadonlySet<unknown> = new Set([
  '40001',
  '42P01',
  '42703',
  '42704',
  '42883',
  '3F000',
  '22023',
  '42501',
])

/** A moment of the primary, by our clock, and how long its log was then. */
type Sample = { atMs: number; lsn: string }

type Replica = {
  pool: ServerPool
  /** It has everything of the primary up to this moment; `undefined` before that is known. */
  freshAsOfMs: number | undefined
}

export type ReplicaOutcome = { outcome: Outcome; lagMs: number }

/**
 * Reads on a server's standbys. How stale they are is known for certain, with no clock but ours: the primary is asked how long
 * its log is, and a standby that has replayed so much has everything of that moment. With the primary away the standbys go on
 * answering, and the bound grows.
 */
export class ReplicaReads {
  readonly #primary: ServerPool
  readonly #replicas: Replica[]
  #samples: Sample[] = []
  #sampledAtMs = Number.NEGATIVE_INFINITY
  #sampling: Promise<void> | undefined
  #next = 0

  constructor(primary: ServerPool, pools: readonly ServerPool[]) {
    this.#primary = primary
    this.#replicas = pools.map((pool) => ({ pool, freshAsOfMs: undefined }))
  }

  /**
   * Runs a read on a standby, each in turn; `undefined` when the primary has to answer.
   * @returns the outcome, and how old what it shows is at most, in milliseconds.
   */
  async run(tag: string, statements: readonly Statement[]): Promise<ReplicaOutcome | undefined> {
    if (this.#replicas.length === 0) return undefined
    if (performance.now() - this.#sampledAtMs > SAMPLE_EVERY_MS) await this.#sample()
    const nowMs = performance.now()
    const usable = this.#replicas.filter(
      ({ freshAsOfMs }) => freshAsOfMs !== undefined && nowMs - freshAsOfMs < MAX_LAG_MS,
    )
    const replica = usable[this.#next++ % usable.length]
    if (replica?.freshAsOfMs === undefined) return undefined
    // What is replayed while the read is under way makes it fresher, not staler.
    const lagMs = Math.ceil(nowMs - replica.freshAsOfMs)
    try {
      return { outcome: await replica.pool.run(tag, statements), lagMs }
    } catch (fault) {
      if (isForThePrimary(fault)) return undefined
      throw fault
    }
  }

  get isIdle(): boolean {
    return this.#replicas.every(({ pool }) => pool.isIdle)
  }

  async close(): Promise<void> {
    await Promise.all(this.#replicas.map(({ pool }) => pool.close()))
  }

  #sample(): Promise<void> {
    this.#sampling ??= this.#takeSample().finally(() => {
      this.#sampling = undefined
    })
    return this.#sampling
  }

  async #takeSample(): Promise<void> {
    const atMs = performance.now()
    const lsn = await ask(this.#primary, 'select pg_current_wal_lsn()')
    if (lsn !== undefined) this.#samples = [...this.#samples.slice(1 - MAX_SAMPLES), { atMs, lsn }]
    await Promise.all(this.#replicas.map((replica) => this.#locate(replica)))
    this.#sampledAtMs = performance.now()
  }

  /** The newest moment of which the standby has everything. */
  async #locate(replica: Replica): Promise<void> {
    const passed = await ask(
      replica.pool,
      `select max(place) from unnest($1::pg_lsn[]) with ordinality as s(lsn, place)
       where lsn <= coalesce(pg_last_wal_replay_lsn(), '0/0')`,
      [`{${this.#samples.map(({ lsn }) => lsn).join(',')}}`],
    )
    const sample = passed === undefined ? undefined : this.#samples[Number(passed) - 1]
    if (sample !== undefined) replica.freshAsOfMs = sample.atMs
  }
}

/** True for a preference that sends reads to a standby (RFC 7240). */
export function prefersReplica(prefer: string | string[] | undefined): boolean {
  return typeof prefer === 'string' && /(^|,)\s*read-replica\s*(,|$)/.test(prefer)
}

/** The first value, or `undefined` when there is none or nobody answers. */
async function ask(pool: ServerPool, text: string, values: readonly string[] = []): Promise<string | undefined> {
  try {
    const { rows } = await pool.run('', [{ text, values }])
    return rows[0]?.[0] ?? undefined
  } catch {
    return undefined
  }
}

function isForThePrimary(fault: unknown): boolean {
  return fault instanceof Problem || (fault instanceof pg.DatabaseError && FOR_THE_PRIMARY.has(fault.code))
}
