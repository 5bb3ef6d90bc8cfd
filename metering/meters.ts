/**
 * The meters that a price can be set on. Quantities are carried as whole fine units (bigint), so nothing is rounded before all
 * parts of a month are added up: bytes held are byte-milliseconds until they are rated as byte-hours.
 */
export const METERS = {
  api_requests: { fineUnits: 1n, unit: 'requests', title: 'API requests' },
  egress_bytes: { fineUnits: 1n, unit: 'bytes', title: 'Egress' },
  ingress_bytes: { fineUnits: 1n, unit: 'bytes', title: 'Ingress' },
  storage_byte_hours: { fineUnits: 3_600_000n, unit: 'byte-hours', title: 'Document storage' },
  file_storage_byte_hours: { fineUnits: 3_600_000n, unit: 'byte-hours', title: 'File storage' },
  realtime_messages: { fineUnits: 1n, unit: 'messages', title: 'Realtime messages' },
  realtime_connection_hours: { fineUnits: 3_600_000n, unit: 'connection-hours', title: 'Realtime connections' },
  compute_seconds: { fineUnits: 1_000n, unit: 'seconds', title: 'Compute' },
} as const
export type Meter = keyof typeof METERS
export const METER_NAMES = Object.keys(METERS) as readonly Meter[]

/** Fine units by meter; what is not named is 0. */
export type Quantities = Partial<Record<Meter, bigint>>

/**
 * Whether a request failed through a fault of ours: 502, 503 and 504 are what the platform answers when it, or what it asked, did
 * not do its work. Such a request is recorded and shown, and billed to nobody. (A 500 is the tenant's own SQL as often as not.)
 */
export function isOurFault(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}

export function isMeter(name: string): name is Meter {
  return Object.hasOwn(METERS, name)
}

/** Adds two sets of quantities. */
export function addQuantities(a: Quantities, b: Quantities): Quantities {
  const sum: Quantities = { ...a }
  for (const meter of METER_NAMES) {
    const more = b[meter]
    if (more !== undefined) sum[meter] = (sum[meter] ?? 0n) + more
  }
  return sum
}
