import type { UsageWriter } from '../../metering/contract.ts'
import type { Clock } from '../../runtime/clock.ts'
import { isId } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { PLATFORM_MARK } from '../../tenancy/platform-statements.ts'
import type { Server, Servers } from '../postgres/servers.ts'

export type StorageSamplerOptions = {
  servers: Servers
  usage: Pick<UsageWriter, 'append'>
  clock: Clock
  log: Logger
  /** Pause between two rounds over a server. */
  intervalMs?: number
  /** An unchanged size is written again after this long. */
  repeatMs?: number
}

/** What is known of one server: the size last written for each tenant, and when. */
type Round = { written: Map<string, { bytes: number; atMs: number }>; notBeforeMs: number; usedMs: number }

/** Held by the session of the one backend that samples a server; it is free again when that session ends. */
const TRY_LOCK = `${PLATFORM_MARK} select pg_try_advisory_lock(1095062099) as held`

const SIZES = `${PLATFORM_MARK}
select n.nspname as schema, coalesce(sum(pg_total_relation_size(c.oid)), 0)::text as bytes
from pg_namespace n left join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'm')
where n.nspname like 't\\_%'
group by n.nspname`

/** A round takes at most this share of a server's time: one that took a second is followed by twenty of rest. */
const REST_FACTOR = 20

/**
 * Measures what tenants' tables take up (with indexes and TOAST), all of a server in one query, and writes a storage record
 * for each tenant whose size changed, and for every one once a minute. One backend at a time does it for a server. A server
 * that nobody uses is left alone, so that it can be paused: sizes do not change there.
 */
export class StorageSampler {
  readonly #options: StorageSamplerOptions
  readonly #rounds = new Map<string, Round>()
  readonly #intervalMs: number
  readonly #repeatMs: number
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(options: StorageSamplerOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? 3_000
    this.#repeatMs = options.repeatMs ?? 60_000
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.sample().finally(() => {
        this.#running = undefined
      })
    }, this.#intervalMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }

  /** One round over every server in use. */
  async sample(): Promise<void> {
    const { servers, log } = this.#options
    const open = new Set(servers.all.map((server) => server.name))
    for (const name of [...this.#rounds.keys()]) if (!open.has(name)) this.#rounds.delete(name)
    for (const server of servers.all) {
      try {
        await this.#sampleServer(server)
      } catch (fault) {
        log.debug({ err: fault, server: server.name }, 'the storage of a server was not measured')
      }
    }
  }

  async #sampleServer(server: Server): Promise<void> {
    const { clock } = this.#options
    let round = this.#rounds.get(server.name)
    if (round === undefined) {
      round = { written: new Map(), notBeforeMs: 0, usedMs: 0 }
      this.#rounds.set(server.name, round)
    }
    const startedMs = clock.monotonicMs()
    if (startedMs < round.notBeforeMs || !server.session.isListening) return
    const isShared = server.name.startsWith('shared-')
    if (!isShared && server.requests.lastUsedMs === round.usedMs) return
    const [lock] = await server.session.query<{ held: boolean }>(TRY_LOCK)
    if (lock?.held !== true) return
    const rows = await server.session.query<{ schema: string; bytes: string }>(SIZES)
    round.usedMs = server.requests.lastUsedMs
    round.notBeforeMs = clock.monotonicMs() + (clock.monotonicMs() - startedMs) * REST_FACTOR
    this.#write(server.name, round, rows)
  }

  #write(server: string, round: Round, rows: readonly { schema: string; bytes: string }[]): void {
    const nowMs = this.#options.clock.nowMs()
    const gone = new Set(round.written.keys())
    for (const { schema, bytes } of rows) {
      const tenantId = `ten_${schema.slice(2)}`
      if (!isId('ten', tenantId)) continue
      gone.delete(tenantId)
      const size = Number(bytes)
      const last = round.written.get(tenantId)
      if (last !== undefined && last.bytes === size && nowMs - last.atMs < this.#repeatMs) continue
      round.written.set(tenantId, { bytes: size, atMs: nowMs })
      this.#append(tenantId, size, nowMs)
    }
    // A schema that is gone takes up nothing, unless the tenant was moved to a server that we measure as well.
    for (const tenantId of gone) {
      round.written.delete(tenantId)
      const isElsewhere = [...this.#rounds].some(([name, other]) => name !== server && other.written.has(tenantId))
      if (!isElsewhere) this.#append(tenantId, 0, nowMs)
    }
  }

  #append(tenantId: string, documentsBytes: number, completedAtMs: number): void {
    this.#options.usage.append({ kind: 'storage', tenantId, completedAtMs, documentsBytes }, () => {})
  }
}
