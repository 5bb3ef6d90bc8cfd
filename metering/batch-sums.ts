import type { UsageRecord } from './contract.ts'
import { type GaugeSample, hourOf } from './gauge.ts'
import { isOurFault } from './meters.ts'
import type { Accepted } from './sift.ts'

/** A record that claims to be completed later than this after now comes from a wrong clock: it counts as completed now. */
const MAX_CLOCK_SKEW_MS = 3_600_000
/** More than ten terabytes in one body is no body: such a record is set aside for a human. */
const MAX_BODY_BYTES = 10_000_000_000_000
const MAX_DURATION_US = 10_000_000_000_000
/** An hour of a thousand servers. */
const MAX_COMPUTE_MS = 3_600_000_000

/** A row of the ledger; names are those of its columns, times in milliseconds. */
export type LedgerRow = {
  hour_ms: number
  kind: 'request' | 'storage' | 'realtime' | 'compute' | 'unreadable' | 'hole' | 'end'
  producer: string
  first_sequence: number
  last_sequence: number
  records: number
  tenant_id?: string
  at_ms?: number
  method?: string
  endpoint?: string
  status?: number
  egress_bytes?: number
  ingress_bytes?: number
  duration_us?: number
  documents_bytes?: number
  files_bytes?: number
  connections?: number
  messages?: number
  compute_ms?: number
  detail?: string
}

export type HourlySum = {
  tenant_id: string
  hour_ms: number
  requests: number
  egress_bytes: number
  ingress_bytes: number
  messages: number
  /** Of `requests`, those that failed through a fault of ours. */
  faults: number
  compute_ms: number
}

export type DailySum = {
  tenant_id: string
  day: string
  method: string
  endpoint: string
  status: number
  requests: number
  egress_bytes: number
  ingress_bytes: number
  duration_us: number
}

export type BatchSums = {
  ledger: LedgerRow[]
  hourly: HourlySum[]
  daily: DailySum[]
  samples: GaugeSample[]
  /** Producers that are gone, and when they were last seen. */
  ended: { producer: string; lastSeenMs: number }[]
  requests: number
  setAside: number
}

/** Adds up what was accepted: one ledger row for the like requests of a producer, and what each rollup gains. Pure. */
export function sumBatch(accepted: readonly Accepted[], nowMs: number): BatchSums {
  const sums = new Summing(nowMs)
  for (const stretch of accepted) sums.add(stretch)
  return sums.result()
}

class Summing {
  readonly #nowMs: number
  readonly #ledger: LedgerRow[] = []
  readonly #requests = new Map<string, LedgerRow & DailySum>()
  readonly #hourly = new Map<string, HourlySum>()
  readonly #samples: GaugeSample[] = []
  readonly #ended: BatchSums['ended'] = []
  #requestCount = 0
  #setAside = 0

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  add(stretch: Accepted): void {
    const { producer, firstSequence, lastSequence } = stretch
    if (stretch.kind === 'records') {
      for (const [i, record] of stretch.records.entries()) {
        const sequence = firstSequence + i
        if (record.kind === 'unreadable') this.#setAsideOne(producer, sequence, record.text)
        else if (!isPlausible(record)) this.#setAsideOne(producer, sequence, JSON.stringify(record))
        else this.#addRecord(producer, sequence, record)
      }
      return
    }
    if (stretch.kind === 'end') this.#ended.push({ producer, lastSeenMs: stretch.lastSeenMs })
    this.#ledger.push({
      hour_ms: hourOf(this.#nowMs),
      kind: stretch.kind,
      producer,
      first_sequence: firstSequence,
      last_sequence: lastSequence,
      records: lastSequence - firstSequence + 1,
    })
  }

  result(): BatchSums {
    const daily = new Map<string, DailySum>()
    for (const row of this.#requests.values()) {
      const key = `${row.tenant_id}\n${row.day}\n${row.method}\n${row.endpoint}\n${row.status}`
      const sum = daily.get(key)
      if (sum === undefined) {
        daily.set(key, { ...row, requests: row.records })
        continue
      }
      sum.requests += row.records
      sum.egress_bytes += row.egress_bytes
      sum.ingress_bytes += row.ingress_bytes
      sum.duration_us += row.duration_us
    }
    return {
      ledger: [...this.#requests.values(), ...this.#ledger],
      hourly: [...this.#hourly.values()],
      daily: [...daily.values()],
      samples: this.#samples.sort((a, b) => a.atMs - b.atMs),
      ended: this.#ended,
      requests: this.#requestCount,
      setAside: this.#setAside,
    }
  }

  #addRecord(producer: string, sequence: number, record: UsageRecord): void {
    const tenantId = storable(record.tenantId)
    const atMs = record.completedAtMs > this.#nowMs + MAX_CLOCK_SKEW_MS ? this.#nowMs : Math.floor(record.completedAtMs)
    const hourMs = hourOf(atMs)
    const place = { hour_ms: hourMs, producer, first_sequence: sequence, last_sequence: sequence, records: 1 }
    if (record.kind === 'request') {
      this.#addRequest(place, tenantId, record)
    } else if (record.kind === 'storage') {
      const { documentsBytes, filesBytes } = record
      this.#ledger.push({
        ...place,
        kind: 'storage',
        tenant_id: tenantId,
        at_ms: atMs,
        ...(documentsBytes === undefined ? {} : { documents_bytes: documentsBytes }),
        ...(filesBytes === undefined ? {} : { files_bytes: filesBytes }),
      })
      const sample = { tenantId, source: '', atMs }
      if (documentsBytes !== undefined)
        this.#samples.push({ ...sample, meter: 'documents_bytes', value: documentsBytes })
      if (filesBytes !== undefined) this.#samples.push({ ...sample, meter: 'files_bytes', value: filesBytes })
    } else if (record.kind === 'compute') {
      // It ends where it is completed, and what ends with an hour lies in it.
      const endingHourMs = hourOf(Math.max(0, atMs - 1))
      this.#ledger.push({
        ...place,
        hour_ms: endingHourMs,
        kind: 'compute',
        tenant_id: tenantId,
        at_ms: atMs,
        compute_ms: record.ranMs,
      })
      this.#hour(tenantId, endingHourMs).compute_ms += record.ranMs
    } else {
      const { connections, messages } = record
      this.#ledger.push({
        ...place,
        kind: 'realtime',
        tenant_id: tenantId,
        at_ms: atMs,
        ...(connections === undefined ? {} : { connections }),
        ...(messages === undefined ? {} : { messages }),
      })
      if (connections !== undefined)
        this.#samples.push({ tenantId, source: producer, atMs, meter: 'realtime_connections', value: connections })
      if (messages !== undefined) this.#hour(tenantId, hourMs).messages += messages
    }
  }

  #addRequest(
    place: Pick<LedgerRow, 'hour_ms' | 'producer' | 'first_sequence' | 'last_sequence' | 'records'>,
    tenantId: string,
    record: Extract<UsageRecord, { kind: 'request' }>,
  ): void {
    const { status, egressBytes, ingressBytes, durationUs } = record
    const hour = this.#hour(tenantId, place.hour_ms)
    hour.requests += 1
    if (isOurFault(status)) hour.faults += 1
    hour.egress_bytes += egressBytes
    hour.ingress_bytes += ingressBytes
    this.#requestCount += 1
    const key = `${place.producer}\n${tenantId}\n${place.hour_ms}\n${record.method}\n${record.endpoint}\n${status}`
    const row = this.#requests.get(key)
    if (row === undefined) {
      this.#requests.set(key, {
        ...place,
        kind: 'request',
        tenant_id: tenantId,
        day: new Date(place.hour_ms).toISOString().slice(0, 10),
        method: storable(record.method),
        endpoint: storable(record.endpoint),
        status,
        requests: 0,
        egress_bytes: egressBytes,
        ingress_bytes: ingressBytes,
        duration_us: durationUs,
      })
      return
    }
    row.records += 1
    row.last_sequence = place.last_sequence
    row.egress_bytes += egressBytes
    row.ingress_bytes += ingressBytes
    row.duration_us += durationUs
  }

  #hour(tenantId: string, hourMs: number): HourlySum {
    const key = `${tenantId} ${hourMs}`
    let hour = this.#hourly.get(key)
    if (hour === undefined) {
      hour = {
        ...{ tenant_id: tenantId, hour_ms: hourMs, requests: 0, egress_bytes: 0, ingress_bytes: 0, messages: 0 },
        ...{ faults: 0, compute_ms: 0 },
      }
      this.#hourly.set(key, hour)
    }
    return hour
  }

  #setAsideOne(producer: string, sequence: number, text: string): void {
    this.#setAside += 1
    this.#ledger.push({
      hour_ms: hourOf(this.#nowMs),
      kind: 'unreadable',
      producer,
      first_sequence: sequence,
      last_sequence: sequence,
      records: 1,
      detail: storable(text.slice(0, 2_000)),
    })
  }
}

function isPlausible(record: UsageRecord): boolean {
  if (record.kind === 'compute') return record.ranMs <= MAX_COMPUTE_MS
  if (record.kind !== 'request') return true
  return (
    record.egressBytes <= MAX_BODY_BYTES &&
    record.ingressBytes <= MAX_BODY_BYTES &&
    record.durationUs <= MAX_DURATION_US
  )
}

/** Postgres stores neither NUL nor half a surrogate pair; one such text must not hold up the partition for ever. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
