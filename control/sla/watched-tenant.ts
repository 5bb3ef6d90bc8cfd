import type { OutageView } from './outage-store.ts'
import type { Finding } from './probe.ts'

/** A tenant that is to be served, as it stands in the tables. */
export type ActiveTenant = { tenant_id: string; name: string; is_registered: boolean; server: string | null }

/** So many looks in a row, each over a connection of its own, must fail before a prober believes it. */
export const CONFIRMATIONS = 3

/** What one prober knows of one tenant: how it was found last, and for how long it has not answered. */
export class WatchedTenant {
  readonly tenantId: string
  readonly name: string
  readonly isRegistered: boolean
  readonly server: string | null
  /** When it was last known to answer, by a look or by what gateways told. */
  seenWellMs = Number.NEGATIVE_INFINITY
  /** When gateways last told that it was asked for something. */
  askedMs = Number.NEGATIVE_INFINITY
  /** When it is looked at out of turn; undefined: in its turn only. */
  nextLookMs: number | undefined
  lastLookMs = Number.NEGATIVE_INFINITY
  isBeingLookedAt = false
  /** The tables say that it has an incident. */
  hasIncident = false
  #failures = 0
  #firstFailedMs = 0
  #view: OutageView | undefined

  constructor(tenant: ActiveTenant) {
    this.tenantId = tenant.tenant_id
    this.name = tenant.name
    this.isRegistered = tenant.is_registered
    this.server = tenant.server
  }

  /** Whether it is still what the tables say. */
  isSame(row: ActiveTenant): boolean {
    return this.name === row.name && this.isRegistered === row.is_registered && this.server === row.server
  }

  get isInDoubt(): boolean {
    return this.#failures > 0
  }

  get isDown(): boolean {
    return this.#view !== undefined
  }

  /**
   * Takes over that a look, begun at `beganMs`, found it down. Some in a row must, unless the fault is certain.
   * @returns the view that begins by it.
   */
  noteDown(finding: Finding & { kind: 'down' }, beganMs: number, isCertain: boolean): OutageView | undefined {
    if (this.#failures++ === 0) this.#firstFailedMs = beganMs
    if ((this.#failures < CONFIRMATIONS && !isCertain) || this.#view !== undefined) return undefined
    const { cause, detail } = finding
    this.#view = { tenantId: this.tenantId, sinceMs: this.#firstFailedMs, untilMs: null, cause, detail }
    return this.#view
  }

  /** It answers, or nobody asks any more. @returns the view that has ended. */
  endView(nowMs: number): OutageView | undefined {
    const view = this.#view
    this.#failures = 0
    this.#view = undefined
    return view === undefined ? undefined : { ...view, untilMs: nowMs }
  }
}
