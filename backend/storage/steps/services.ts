import type { Clock } from '../../../runtime/clock.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { UrlSigner } from '../signed-url.ts'
import type { BucketStore } from '../stores/bucket-store.ts'
import type { ListingStore } from '../stores/listing-store.ts'
import type { ObjectStore } from '../stores/object-store.ts'
import type { ResumableStore } from '../stores/resumable-store.ts'
import type { Background } from './background.ts'
import type { UsageRecorder } from './record-usage.ts'

/** Moments between the durable steps of a change, where a test kills the process. */
export type Checkpoint = 'announced' | 'blob-written' | 'committed' | 'blobs-removed'

/** What the steps work with. */
export type StorageServices = {
  buckets: BucketStore
  objects: ObjectStore
  listings: ListingStore
  uploads: ResumableStore
  blobs: BlobStore
  signer: UrlSigner
  usage: UsageRecorder
  background: Background
  clock: Clock
  log: Logger
  /** Upper bound for any object, in bytes. */
  maxObjectBytes: number
  /** A body that stands still for this long is given up. */
  bodyIdleMs: number
  checkpoint: (moment: Checkpoint) => void
}
