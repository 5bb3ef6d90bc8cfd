import type { UsageRecord } from './contract.ts'

/** Longer texts than these are cut: no client can make a record large. */
const MAX_TENANT_LENGTH = 64
const MAX_METHOD_LENGTH = 16
const MAX_ENDPOINT_LENGTH = 512

const REQUEST = 0
const STORAGE = 1
const REALTIME = 2
const COMPUTE = 3

/** A line that is no record: it is counted and set aside by the sink, never retried, so it can block nothing. */
export type Unreadable = { kind: 'unreadable'; text: string }

/**
 * One record as one line of JSON without a line break: a position-coded array, because a request pays for each byte.
 * Numbers that cannot be billed (not whole, negative, not finite) are brought to the nearest that can.
 */
export function encodeRecord(record: UsageRecord): string {
  const tenant = cut(record.tenantId, MAX_TENANT_LENGTH)
  const at = whole(record.completedAtMs)
  switch (record.kind) {
    case 'request':
      return JSON.stringify([
        REQUEST,
        tenant,
        at,
        cut(record.method, MAX_METHOD_LENGTH),
        cut(record.endpoint, MAX_ENDPOINT_LENGTH),
        whole(record.status),
        whole(record.egressBytes),
        whole(record.ingressBytes),
        whole(record.durationUs),
      ])
    case 'storage':
      return JSON.stringify([STORAGE, tenant, at, known(record.documentsBytes), known(record.filesBytes)])
    case 'realtime':
      return JSON.stringify([REALTIME, tenant, at, known(record.connections), known(record.messages)])
    case 'compute':
      return JSON.stringify([COMPUTE, tenant, at, whole(record.ranMs)])
  }
}

/** Reads one line that `encodeRecord` wrote; whatever else stands there is `unreadable`. */
export function decodeRecord(line: string): UsageRecord | Unreadable {
  try {
    return fromFields(JSON.parse(line)) ?? { kind: 'unreadable', text: line }
  } catch {
    return { kind: 'unreadable', text: line }
  }
}

/** Reads the lines of a payload; one parse for all of them while all are well-formed. */
export function decodeRecords(lines: readonly string[]): (UsageRecord | Unreadable)[] {
  let all: unknown
  try {
    all = JSON.parse(`[${lines.join(',')}]`)
  } catch {
    return lines.map(decodeRecord)
  }
  if (!Array.isArray(all) || all.length !== lines.length) return lines.map(decodeRecord)
  return all.map((fields: unknown, i) => fromFields(fields) ?? { kind: 'unreadable', text: lines[i] ?? '' })
}

function fromFields(fields: unknown): UsageRecord | undefined {
  if (!Array.isArray(fields)) return undefined
  const [kind, tenantId, completedAtMs] = fields as readonly unknown[]
  if (!isText(tenantId, MAX_TENANT_LENGTH) || !isCount(completedAtMs)) return undefined
  const rest = fields.slice(3) as readonly unknown[]
  const base = { tenantId, completedAtMs }
  if (kind === REQUEST) {
    const [method, endpoint, status, egressBytes, ingressBytes, durationUs] = rest
    if (!isText(method, MAX_METHOD_LENGTH) || !isText(endpoint, MAX_ENDPOINT_LENGTH)) return undefined
    if (!isCount(status) || status > 32_767) return undefined
    if (!isCount(egressBytes) || !isCount(ingressBytes) || !isCount(durationUs)) return undefined
    return { kind: 'request', ...base, method, endpoint, status, egressBytes, ingressBytes, durationUs }
  }
  const [first, second] = rest
  if (kind === COMPUTE) return isCount(first) ? { kind: 'compute', ...base, ranMs: first } : undefined
  if (!isOptionalCount(first) || !isOptionalCount(second)) return undefined
  if (kind === STORAGE) {
    return {
      kind: 'storage',
      ...base,
      ...(first === null ? {} : { documentsBytes: first }),
      ...(second === null ? {} : { filesBytes: second }),
    }
  }
  if (kind === REALTIME) {
    return {
      kind: 'realtime',
      ...base,
      ...(first === null ? {} : { connections: first }),
      ...(second === null ? {} : { messages: second }),
    }
  }
  return undefined
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isOptionalCount(value: unknown): value is number | null {
  return value === null || isCount(value)
}

function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : text.slice(0, maxLength)
}

function known(value: number | undefined): number | null {
  return value === undefined ? null : whole(value)
}

function whole(value: number): number {
  if (Number.isSafeInteger(value)) return Math.max(value, 0)
  if (!(value > 0)) return 0
  return Math.min(Math.round(value), Number.MAX_SAFE_INTEGER)
}
