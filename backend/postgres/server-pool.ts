import type { Logger } from '../../runtime/log.ts'
import { Problem } from '../../runtime/problem.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { FairQueue } from './fair-queue.ts'
import { MOVING_SQLSTATE, mayHaveMoved, schemaIsMoving } from './moved-tenant.ts'
import type { Outcome, Statement } from './statement.ts'

export type ServerPoolOptions = Omit<ConnectionOptions, 'onLost'> & {
  server: string
  maxConnections: number
  /** Transactions in flight on one connection; more than 1 is used only while every connection is busy. */
  maxInFlightPerConnection: number
  /** A connection whose oldest transaction is older than this gets no further one behind it. */
  slowHeadMs: number
  /** Transactions of one tag (a tenant) in flight at once; the rest waits its turn. */
  maxInFlightPerTag: number
  maxWaiting: number
  maxWaitMs: number
  /** Connections that were idle for longer are closed. */
  idleConnectionMs: number
  /** A connection that is older gives its place to a new one: what a session knows of tables only grows, tenant by tenant. */
  maxConnectionAgeMs: number
  /** Where a tenant that is no longer on this server is served now; see `moved-tenant.ts`. */
  follow?: (tag: string) => Promise<ServerPool | undefined>
  log: Logger
}

type Job = {
  statements: readonly Statement[]
  tag: string
  done: (fault: Error | undefined, outcome: Outcome) => void
  queuedAtMs: number
  /** By how many sessions that are younger than the job its role was refused. */
  youngRefusals: number
}

/**
 * The bounded connections of this process to one database server. A job goes to its tag's own connection when that is idle: what
 * a session of Postgres has learnt of the tenant's tables, some milliseconds' worth, is there, and ten thousand tenants are spread
 * over the sessions instead of being known to each. Else to an idle one, preferably the one that served its tag last; when all are
 * busy, behind a young job on the least loaded one; else it waits, each tag in turn, so that one tenant's burst does not hold up
 * another's first request.
 */
export class ServerPool {
  readonly #options: ServerPoolOptions
  readonly #connections: Connection[] = []
  readonly #retired = new Set<Connection>()
  readonly #lastOf = new WeakMap<Connection, string>()
  readonly #openedMs = new WeakMap<Connection, number>()
  readonly #waiting: FairQueue<Job>
  readonly #inFlightByTag = new Map<string, number>()
  #opening = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false
  lastUsedMs = performance.now()

  constructor(options: ServerPoolOptions) {
    this.#options = options
    this.#waiting = new FairQueue(options.maxWaiting)
  }

  /**
   * Runs `statements` as one transaction. `tag` says on whose behalf: for a tenant that was moved to another server it runs there,
   * as the refusal undid all that had been done here.
   * @throws Problem 503 `database_busy` (the queue is full or the wait was too long) or `database_unavailable`; errors of
   * Postgres as pg's `DatabaseError`.
   */
  run(tag: string, statements: readonly Statement[]): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const job: Job = {
        statements,
        tag,
        done: (fault, outcome) => {
          if (fault === undefined) resolve(outcome)
          else if (mayHaveMoved(fault)) this.#runWhereItIs(tag, statements, fault).then(resolve, reject)
          else reject(asPoolFault(fault))
        },
        queuedAtMs: performance.now(),
        youngRefusals: 0,
      }
      this.lastUsedMs = job.queuedAtMs
      if (this.#closed) {
        job.done(new Error('The pool is closed'), NOTHING)
        return
      }
      const connection = this.#waiting.length === 0 && this.#mayRun(tag) ? this.#choose(tag, job.queuedAtMs) : undefined
      if (connection !== undefined) this.#start(connection, job)
      else this.#enqueue(job)
    })
  }

  /** Runs at the server to which the tenant was moved. @throws the refusal when it was not. */
  async #runWhereItIs(tag: string, statements: readonly Statement[], refusal: Error): Promise<Outcome> {
    const next = await this.#options.follow?.(tag)
    if (next === undefined || next === this) throw asPoolFault(refusal)
    return next.run(tag, statements)
  }

  get connectionCount(): number {
    return this.#connections.length
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  get isIdle(): boolean {
    return this.#inFlightByTag.size === 0 && this.#waiting.length === 0
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#failWaiting(new Error('The pool is closed'))
    const all = [...this.#connections.splice(0), ...this.#retired]
    this.#retired.clear()
    await Promise.all(all.map((connection) => connection.end()))
  }

  #mayRun(tag: string): boolean {
    return (this.#inFlightByTag.get(tag) ?? 0) < this.#options.maxInFlightPerTag
  }

  /** The connection for the next job of `tag`, or none. Opens a further one when none is idle. */
  #choose(tag: string, nowMs: number): Connection | undefined {
    const { maxInFlightPerConnection, slowHeadMs } = this.#options
    const home = this.#connections[placeOf(tag, this.#connections.length)]
    if (home?.inFlight === 0) return home
    let best: Connection | undefined
    for (const connection of this.#connections) {
      if (connection.inFlight === 0 && this.#lastOf.get(connection) === tag) return connection
      if (connection.inFlight >= maxInFlightPerConnection || connection.headAgeMs(nowMs) > slowHeadMs) continue
      if (best === undefined || connection.inFlight < best.inFlight) best = connection
    }
    if (best === undefined || best.inFlight > 0) this.#grow()
    return best
  }

  #start(connection: Connection, job: Job): void {
    this.#lastOf.set(connection, job.tag)
    this.#inFlightByTag.set(job.tag, (this.#inFlightByTag.get(job.tag) ?? 0) + 1)
    connection.send(job.statements, (fault, outcome) => {
      const left = (this.#inFlightByTag.get(job.tag) ?? 1) - 1
      if (left === 0) this.#inFlightByTag.delete(job.tag)
      else this.#inFlightByTag.set(job.tag, left)
      if (isStaleMembership(fault) && this.#mayBeStale(connection, job)) {
        this.#enqueue(job)
        this.#grow()
      } else job.done(fault, outcome)
      if (connection.inFlight === 0 && this.#retired.delete(connection)) void connection.end()
      if (this.#waiting.length > 0) this.#serveWaiting()
    })
  }

  /**
   * Takes the session that refused a role out of service. @returns whether another one may know better: every older session may
   * have missed the same grant, a younger one once more while it made its list.
   */
  #mayBeStale(connection: Connection, job: Job): boolean {
    this.#retire(connection)
    if (this.#openedAt(connection) > job.queuedAtMs) job.youngRefusals++
    return job.youngRefusals < MAX_YOUNG_REFUSALS && !this.#closed
  }

  /** Takes a connection out of service; it ends when nothing is in flight on it. */
  #retire(connection: Connection): void {
    const at = this.#connections.indexOf(connection)
    if (at < 0) return
    this.#connections.splice(at, 1)
    this.#endWhenIdle(connection)
  }

  #endWhenIdle(connection: Connection): void {
    if (connection.inFlight === 0) void connection.end()
    else this.#retired.add(connection)
  }

  #enqueue(job: Job): void {
    if (this.#waiting.add(job)) this.#startTimer()
    else job.done(busy(), NOTHING)
  }

  /** Hands waiting jobs to connections, one of each tag in turn, as long as there is room. */
  #serveWaiting(): void {
    const nowMs = performance.now()
    for (let started = true; started && this.#waiting.length > 0; ) {
      started = false
      for (const tag of this.#waiting.tags()) {
        if (!this.#mayRun(tag)) continue
        const connection = this.#choose(tag, nowMs)
        if (connection === undefined) return
        const job = this.#waiting.take(tag)
        if (job === undefined) continue
        this.#start(connection, job)
        started = true
      }
    }
  }

  /** Opens a further connection where there may be one more. */
  #grow(): void {
    if (this.#connections.length + this.#opening >= this.#options.maxConnections) return
    this.#open((ready) => this.#connections.push(ready))
  }

  #open(accept: (ready: Connection) => void): void {
    const { log, server } = this.#options
    if (this.#closed) return
    this.#opening += 1
    const opened = Connection.open({
      ...this.#options,
      onLost: (fault) => {
        log.warn({ err: fault, server }, 'a Postgres connection was lost')
        this.#drop(connection)
      },
    })
    let connection: Connection | undefined
    opened.then(
      (ready) => {
        this.#opening -= 1
        connection = ready
        this.#openedMs.set(ready, performance.now())
        if (this.#closed) {
          void ready.end()
          return
        }
        accept(ready)
        this.#startTimer()
        this.#serveWaiting()
      },
      (fault: Error) => {
        this.#opening -= 1
        log.warn({ err: fault, server }, 'could not connect to Postgres')
        if (this.#connections.length === 0 && this.#opening === 0) this.#failWaiting(unavailable(fault))
      },
    )
  }

  #drop(connection: Connection | undefined): void {
    const at = connection === undefined ? -1 : this.#connections.indexOf(connection)
    if (at >= 0) this.#connections.splice(at, 1)
    if (this.#waiting.length > 0) this.#grow()
  }

  #failWaiting(fault: Error): void {
    for (const job of this.#waiting.takeAll()) job.done(fault, NOTHING)
  }

  /** Once a second: ends waits that took too long and connections that are idle or old; retries where none could be opened. */
  #startTimer(): void {
    this.#timer ??= setInterval(() => {
      const nowMs = performance.now()
      for (const job of this.#waiting.takeOlderThan(nowMs - this.#options.maxWaitMs)) job.done(busy(), NOTHING)
      for (const connection of [...this.#connections]) {
        if (connection.inFlight > 0 || nowMs - connection.idleSinceMs < this.#options.idleConnectionMs) continue
        this.#connections.splice(this.#connections.indexOf(connection), 1)
        void connection.end()
      }
      this.#renewOldest(nowMs)
      if (this.#waiting.length > 0) this.#serveWaiting()
      else if (this.#connections.length === 0) {
        clearInterval(this.#timer)
        this.#timer = undefined
      }
    }, 1_000).unref()
  }

  /** One at a time, and into the same place, so that the tags of all others stay with sessions that know their tables. */
  #renewOldest(nowMs: number): void {
    if (this.#opening > 0) return
    const oldest = this.#connections.reduce<Connection | undefined>(
      (old, one) => (old === undefined || this.#openedAt(one) < this.#openedAt(old) ? one : old),
      undefined,
    )
    if (oldest === undefined || nowMs - this.#openedAt(oldest) < this.#options.maxConnectionAgeMs) return
    this.#open((ready) => {
      const at = this.#connections.indexOf(oldest)
      if (at < 0) this.#connections.push(ready)
      else this.#connections[at] = ready
      if (at >= 0) this.#endWhenIdle(oldest)
    })
  }

  #openedAt(connection: Connection): number {
    return this.#openedMs.get(connection) ?? 0
  }
}

/**
 * A session may keep a list of its login's roles that lacks one granted while it was making that list, until the next grant
 * anywhere (PostgreSQL 18). The refusal comes before anything has run, so the job may run on another connection.
 */
function isStaleMembership(fault: Error | undefined): boolean {
  return fault !== undefined && 'code' in fault && fault.code === '42501' && SET_ROLE_REFUSED.test(fault.message)
}

/** The place of a tag among so many: by the end of its text, which in ids is random. */
function placeOf(tag: string, count: number): number {
  let hash = 7
  for (let i = Math.max(0, tag.length - 6); i < tag.length; i++) hash = (hash * 31 + tag.charCodeAt(i)) >>> 0
  return count === 0 ? 0 : hash % count
}

/** So many sessions that were opened for a job may refuse its role before it is believed. */
const MAX_YOUNG_REFUSALS = 3
const SET_ROLE_REFUSED = /^permission denied to set role/

const NOTHING: Outcome = { rows: [], affectedRows: 0 }

function busy(): Problem {
  return new Problem(503, 'database_busy', {
    detail: 'The database has too many requests in progress. Try again in a moment.',
    headers: { 'Retry-After': '1' },
  })
}

function unavailable(cause: unknown): Problem {
  return new Problem(503, 'database_unavailable', {
    detail: 'The database cannot be reached at the moment.',
    headers: { 'Retry-After': '2' },
    cause,
  })
}

/** Errors of Postgres and problems pass; anything else is a connection that broke. */
function asPoolFault(fault: Error): Error {
  const isServerError = 'severity' in fault && 'code' in fault
  if (isServerError && fault.code === MOVING_SQLSTATE) return schemaIsMoving(fault)
  return isServerError || fault instanceof Problem ? fault : unavailable(fault)
}
