import type { Readable } from 'node:stream'
import type { ByteRange } from '../range.ts'

/**
 * One immutable blob: whose it is, and its random version id. Nothing that a user typed is part of where a blob lies, so no
 * name can lead out of its tenant's place.
 */
export type BlobRef = { tenantId: string; version: string }

/** The blob is not there: never written, discarded, or removed. */
export class BlobMissingError extends Error {
  constructor(ref: BlobRef, cause?: unknown) {
    super(`There is no blob ${ref.version}`, { cause })
    this.name = 'BlobMissingError'
  }
}

/**
 * Where the bytes are. A store knows no names, no buckets and no rights; the metadata in Postgres decides which blobs count.
 * Every implementation passes `blob-store.conformance.ts`.
 */
export type BlobStore = {
  /**
   * Stores all that `source` gives, with backpressure and without holding it in memory. The blob is there, safe from a crash,
   * when this resolves, and not there at all when it rejects. A failing `source` rejects with its own error.
   */
  write(ref: BlobRef, source: Readable): Promise<void>
  /** The bytes of `range`, or all of them. Destroying the stream lets go of what it holds. @throws BlobMissingError */
  read(ref: BlobRef, range?: ByteRange): Promise<Readable>
  /** Makes `to` the same bytes as `from`, without sending them through this process. @throws BlobMissingError */
  copy(from: BlobRef, to: BlobRef): Promise<void>
  /** Removes a blob and whatever an interrupted write of it left behind. Removing what is not there is no error. */
  remove(ref: BlobRef): Promise<void>
  /** Removes every blob of a tenant. */
  removeTenant(tenantId: string): Promise<void>
  close(): Promise<void>
}

const TENANT_ID = /^ten_[0-9a-hjkmnp-tv-z]{26}$/
const VERSION = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** @throws when the reference is not one that this service made: a bug, never a caller's mistake. */
export function checkBlobRef(ref: BlobRef): void {
  if (!VERSION.test(ref.version)) throw new Error('Not a blob version')
  checkTenantId(ref.tenantId)
}

export function checkTenantId(tenantId: string): void {
  if (!TENANT_ID.test(tenantId)) throw new Error('Not a tenant id')
}
