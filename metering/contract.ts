/** What every usage record says: whose, and when (milliseconds since the epoch, UTC: decides the month). */
type UsageBase = { tenantId: string; completedAtMs: number }

/**
 * One admitted request as it is billed, written by the process that answered it before the last byte of the response
 * leaves. Bytes are those of the bodies; `endpoint` is a template without ids (`/rest/v1/todos`), bounded in number.
 * Calls that were refused (401, 403 suspended, 429, 507 at the gateway) and `/health` are not recorded: they consume nothing.
 */
export type RequestRecord = UsageBase & {
  kind: 'request'
  method: string
  endpoint: string
  status: number
  egressBytes: number
  ingressBytes: number
  durationUs: number
}

/** What a tenant's data takes up at one moment: documents with indexes and TOAST, or files. Only what is known is set. */
export type StorageRecord = UsageBase & { kind: 'storage'; documentsBytes?: number; filesBytes?: number }

/**
 * `connections`: how many realtime connections the tenant has at this producer from this moment on (the number itself, not
 * the difference: a record that is sent twice or late then spoils nothing; the ledger sets it to 0 when the producer is gone).
 * `messages`: how many it has delivered since its record before.
 */
export type RealtimeRecord = UsageBase & { kind: 'realtime'; connections?: number; messages?: number }

/**
 * How long servers of the tenant's own ran, up to `completedAtMs` and since the record before: server-milliseconds. Never across
 * a UTC hour. Time in which a server is paused is in no record.
 */
export type ComputeRecord = UsageBase & { kind: 'compute'; ranMs: number }

export type UsageRecord = RequestRecord | StorageRecord | RealtimeRecord | ComputeRecord

/** Where usage goes. The gateway and whoever else answers tenants hold one. */
export type UsageWriter = {
  /**
   * Takes a record and calls `onWritten` once it is safe from a kill of this process: only then may the last byte of the
   * response leave. Records of one event-loop turn are written together. When the spool cannot be written (full disk) the
   * record is kept in memory up to a bound and `onWritten` is called all the same: serving never waits for billing.
   */
  append(record: UsageRecord, onWritten: () => void): void
  close(): Promise<void>
}
