import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { PlanCatalogue } from '../../tenancy/plan.ts'
import { readObservedUntil, readSlaFacts } from '../sla/sla-store.ts'
import { buildDays, makeDay, type StatusDay, shownDays } from './days.ts'
import {
  findPublicTenant,
  listShownWindows,
  readPlatformDays,
  readPlatformNow,
  type ShownWindow,
} from './status-store.ts'

/** The words of status pages: as statuspage.io and those who read such pages know them. `unknown`: nobody is looking. */
export const STATUSES = [
  'operational',
  'degraded_performance',
  'partial_outage',
  'major_outage',
  'under_maintenance',
  'suspended',
  'unknown',
] as const
export type Status = (typeof STATUSES)[number]

export type StatusDocument = {
  /** The tenant's name; `null`: the platform. */
  tenant: string | null
  status: Status
  as_of: string
  /** Of the days that are shown, all together. */
  uptime: number | null
  days: StatusDay[]
  incidents: { started_at: string; ended_at: string | null; duration_seconds: number }[]
  maintenance: { starts_at: string; ends_at: string; reason: string }[]
}

/** Below this share of tenants that are down a platform only is degraded; from the second on it is out. */
const PARTIAL_FROM = 0.01
const MAJOR_FROM = 0.5
/** A platform of which nobody has seen anything for so long is in no known state. */
const UNSEEN_SECONDS = 120
const HISTORY_MS = 300_000
const SHOWN_INCIDENTS = 50

type Parts = { pool: PostgresPool; catalogue: PlanCatalogue; clock: Clock }

/**
 * Reads what status pages show. The platform's days are added up over all tenants, so they are kept for five minutes: anybody may
 * ask, as often as they like.
 */
export class StatusReader {
  readonly #parts: Parts
  #history: { untilMs: number; days: Promise<StatusDay[]> } | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The whole platform: single tenants and their incidents do not show. */
  async readPlatform(): Promise<StatusDocument> {
    const { pool } = this.#parts
    const now = new Date(this.#parts.clock.nowMs())
    const [{ served, down }, windows, isSeen, days] = await Promise.all([
      readPlatformNow(pool),
      listShownWindows(pool, null, now),
      this.#isSeen(now),
      this.#days(),
    ])
    const share = served === 0 ? 0 : down / served
    const status =
      share === 0
        ? 'operational'
        : share < PARTIAL_FROM
          ? 'degraded_performance'
          : share < MAJOR_FROM
            ? 'partial_outage'
            : 'major_outage'
    return {
      tenant: null,
      status: stateOf(status, windows, isSeen, now),
      as_of: now.toISOString(),
      uptime: overall(days),
      days,
      incidents: [],
      maintenance: renderWindows(windows),
    }
  }

  /** One tenant, `undefined` unless it has opened its page. */
  async readTenant(name: string): Promise<StatusDocument | undefined> {
    const { pool, catalogue, clock } = this.#parts
    const tenant = await findPublicTenant(pool, name)
    if (tenant === undefined) return undefined
    const now = new Date(clock.nowMs())
    const nowSecond = Math.floor(now.getTime() / 1_000)
    const [first] = shownDays(nowSecond)
    const period = { text: '', from: first?.from ?? 0, until: nowSecond }
    const [[facts], windows, isSeen] = await Promise.all([
      readSlaFacts(pool, [tenant.tenant_id], period, catalogue),
      listShownWindows(pool, tenant.tenant_id, now),
      this.#isSeen(now),
    ])
    if (facts === undefined) return undefined
    const days = buildDays(facts, nowSecond)
    const isDown = facts.incidents.some(({ isOpen }) => isOpen)
    return {
      tenant: tenant.name,
      status:
        tenant.status === 'suspended'
          ? 'suspended'
          : stateOf(isDown ? 'major_outage' : 'operational', windows, isSeen, now),
      as_of: now.toISOString(),
      uptime: overall(days),
      days,
      incidents: facts.incidents
        .toReversed()
        .slice(0, SHOWN_INCIDENTS)
        .map(({ span, isOpen }) => ({
          started_at: new Date(span.from * 1_000).toISOString(),
          ended_at: isOpen ? null : new Date(span.until * 1_000).toISOString(),
          duration_seconds: Math.min(span.until, nowSecond) - span.from,
        })),
      maintenance: renderWindows(windows),
    }
  }

  async #isSeen(now: Date): Promise<boolean> {
    const until = await readObservedUntil(this.#parts.pool)
    return until !== undefined && now.getTime() / 1_000 - until < UNSEEN_SECONDS
  }

  #days(): Promise<StatusDay[]> {
    const { clock } = this.#parts
    if (this.#history === undefined || clock.monotonicMs() >= this.#history.untilMs) {
      const days = this.#readDays()
      this.#history = { untilMs: clock.monotonicMs() + HISTORY_MS, days }
      days.catch(() => (this.#history = undefined))
    }
    return this.#history.days
  }

  async #readDays(): Promise<StatusDay[]> {
    const nowSecond = Math.floor(this.#parts.clock.nowMs() / 1_000)
    const days = shownDays(nowSecond)
    const measured = new Map(
      (await readPlatformDays(this.#parts.pool, days[0]?.from ?? nowSecond, nowSecond)).map((row) => [row.day, row]),
    )
    return days.map((day) => {
      const { served = 0, down = 0 } = measured.get(day.from) ?? {}
      return makeDay(day, served, down)
    })
  }
}

function stateOf(status: Status, windows: readonly ShownWindow[], isSeen: boolean, now: Date): Status {
  if (windows.some(({ starts_at }) => starts_at <= now)) return 'under_maintenance'
  return isSeen ? status : 'unknown'
}

/** Days count alike; the last digit is cut, never rounded up. */
function overall(days: readonly StatusDay[]): number | null {
  const known = days.flatMap(({ uptime }) => (uptime === null ? [] : [uptime]))
  if (known.length === 0) return null
  return Math.floor((known.reduce((sum, uptime) => sum + uptime, 0) / known.length) * 1e6) / 1e6
}

function renderWindows(windows: readonly ShownWindow[]): StatusDocument['maintenance'] {
  return windows.map(({ starts_at, ends_at, reason }) => ({
    starts_at: starts_at.toISOString(),
    ends_at: ends_at.toISOString(),
    reason,
  }))
}
