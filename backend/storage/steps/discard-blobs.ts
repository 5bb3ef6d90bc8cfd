import type { StorageSession } from '../session.ts'
import type { StorageServices } from './services.ts'

/**
 * Removes, in the background, those of `versions` that are on the list of blobs without an object. Being on the list is what
 * decides, not what we think happened: when the answer to a commit was lost, its blob may well be an object's by now, and then it
 * is not on the list. In order: (1) they are condemned, so that no commit can take them any more, (2) removed, (3) taken off the
 * list. A crash after (1) or (2) leaves them condemned on the list, and the sweeper goes on from there.
 */
export function discardBlobs(services: StorageServices, session: StorageSession, versions: readonly string[]): void {
  if (versions.length === 0) return
  services.background.run('discard blobs', async () => {
    await removeCondemned(services, session, await services.objects.condemnBlobs(session.asService(), versions))
  })
}

/** Steps 2 and 3. */
export async function removeCondemned(
  services: Pick<StorageServices, 'blobs' | 'objects' | 'checkpoint'>,
  session: StorageSession,
  versions: readonly string[],
): Promise<void> {
  if (versions.length === 0) return
  for (const version of versions) await services.blobs.remove({ tenantId: session.tenantId, version })
  services.checkpoint('blobs-removed')
  await services.objects.forgetBlobs(session.asService(), versions)
}
