/** What is held over time (stored bytes, open connections): billed by its integral, shown by its peak and its last value. */
export const GAUGE_METERS = ['documents_bytes', 'files_bytes', 'realtime_connections'] as const
export type GaugeMeter = (typeof GAUGE_METERS)[number]

/** The value that one source holds since a moment. Storage has one source (`''`); connections have one per producer. */
export type GaugeState = { tenantId: string; meter: GaugeMeter; source: string; value: number; sinceMs: number }

export type GaugeSample = { tenantId: string; meter: GaugeMeter; source: string; value: number; atMs: number }

/** What one hour gained: `valueMs` is value × milliseconds. */
export type GaugeHour = {
  tenantId: string
  meter: GaugeMeter
  hourMs: number
  valueMs: bigint
  peak: number
  lastValue: number
  lastAtMs: number
}

export const HOUR_MS = 3_600_000

/** The beginning of the UTC hour that `ms` lies in. */
export function hourOf(ms: number): number {
  return ms - (ms % HOUR_MS)
}

/**
 * Follows gauges through samples. A value holds until the next sample of its source; a sample older than what is known of its
 * source changes nothing (a later truth is already counted). Pure: the states come in, the new states and the hours go out.
 */
export class GaugeFold {
  readonly #states = new Map<string, GaugeState>()
  readonly #bySeries = new Map<string, GaugeState[]>()
  readonly #changed = new Set<GaugeState>()
  readonly #hours = new Map<string, GaugeHour>()

  constructor(states: readonly GaugeState[]) {
    for (const state of states) this.#add({ ...state })
  }

  apply(sample: GaugeSample): void {
    const { tenantId, meter, source, value, atMs } = sample
    let state = this.#states.get(stateKey(sample))
    if (state === undefined) {
      state = this.#add({ tenantId, meter, source, value: 0, sinceMs: atMs })
    } else if (atMs < state.sinceMs) {
      return
    }
    this.#hold(state, atMs)
    state.value = value
    state.sinceMs = atMs
    this.#changed.add(state)
    const total = this.#total(state)
    this.#gain(state, hourOf(atMs), 0n, total, atMs)
  }

  changedStates(): GaugeState[] {
    return [...this.#changed]
  }

  hours(): GaugeHour[] {
    return [...this.#hours.values()]
  }

  /** Adds the time from the last sample to this one, hour by hour. */
  #hold(state: GaugeState, untilMs: number): void {
    const total = this.#total(state)
    for (const { hourMs, fromMs, toMs } of hoursBetween(state.sinceMs, untilMs)) {
      this.#gain(state, hourMs, BigInt(state.value) * BigInt(toMs - fromMs), total, toMs - 1)
    }
  }

  #gain(state: GaugeState, hourMs: number, valueMs: bigint, total: number, atMs: number): void {
    const key = `${seriesKey(state)} ${hourMs}`
    const hour = this.#hours.get(key)
    if (hour === undefined) {
      const { tenantId, meter } = state
      this.#hours.set(key, { tenantId, meter, hourMs, valueMs, peak: total, lastValue: total, lastAtMs: atMs })
      return
    }
    hour.valueMs += valueMs
    hour.peak = Math.max(hour.peak, total)
    if (atMs < hour.lastAtMs) return
    hour.lastAtMs = atMs
    hour.lastValue = total
  }

  #total(state: GaugeState): number {
    return (this.#bySeries.get(seriesKey(state)) ?? []).reduce((sum, one) => sum + one.value, 0)
  }

  #add(state: GaugeState): GaugeState {
    this.#states.set(stateKey(state), state)
    const series = this.#bySeries.get(seriesKey(state))
    if (series === undefined) this.#bySeries.set(seriesKey(state), [state])
    else series.push(state)
    return state
  }
}

/** The parts of a half-open span of time, by UTC hour. */
export function* hoursBetween(
  fromMs: number,
  untilMs: number,
): Generator<{ hourMs: number; fromMs: number; toMs: number }> {
  for (let at = fromMs; at < untilMs; ) {
    const hourMs = hourOf(at)
    const toMs = Math.min(hourMs + HOUR_MS, untilMs)
    yield { hourMs, fromMs: at, toMs }
    at = toMs
  }
}

function seriesKey(of: { tenantId: string; meter: GaugeMeter }): string {
  return `${of.meter} ${of.tenantId}`
}

function stateKey(of: { tenantId: string; meter: GaugeMeter; source: string }): string {
  return `${seriesKey(of)} ${of.source}`
}
