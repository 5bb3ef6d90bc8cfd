import type { StorageSession } from '../session.ts'
import type { UsageTotal } from '../stores/object-store.ts'
import type { StoredObject } from '../stores/stored-object.ts'
import { discardBlobs } from './discard-blobs.ts'
import type { StorageServices } from './services.ts'

/** Objects removed in one transaction when a bucket is emptied. */
const BATCH = 1_000

/** Removes what the caller may remove; its bytes are free when this resolves. */
export async function removeObjects(
  services: StorageServices,
  session: StorageSession,
  bucket: string,
  entries: readonly { name: string; version?: string }[],
): Promise<StoredObject[]> {
  return finishRemoval(services, session, await services.objects.remove(session, bucket, entries))
}

/** Removes every object of a bucket, batch by batch: a crash leaves a bucket that is partly empty, and nothing else. */
export async function emptyBucket(services: StorageServices, session: StorageSession, bucket: string): Promise<void> {
  for (;;) {
    const batch = await finishRemoval(services, session, await services.objects.removeSome(session, bucket, BATCH))
    if (batch.length < BATCH) return
  }
}

async function finishRemoval(
  services: StorageServices,
  session: StorageSession,
  answer: { removed: StoredObject[]; total: UsageTotal | null },
): Promise<StoredObject[]> {
  const { removed, total } = answer
  services.checkpoint('committed')
  if (total !== null) await services.usage.record(session.tenantId, total)
  discardBlobs(
    services,
    session,
    removed.flatMap((object) => object.blobs.map((blob) => blob.v)),
  )
  return removed
}
