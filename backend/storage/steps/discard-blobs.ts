import type { StorageSession } from '../session.ts'
import type { StorageServices } from './services.ts'

/**
 * Removes blobs that no row refers to, and then takes them off the list. A crash before leaves them on the list; one between
 * leaves blobs on the list that are gone, and removing those again does nothing.
 */
export function discardBlobs(services: StorageServices, session: StorageSession, versions: readonly string[]): void {
  if (versions.length === 0) return
  services.background.run('discard blobs', () => removeBlobs(services, session, versions))
}

/** The same, waited for. */
export async function removeBlobs(
  services: Pick<StorageServices, 'blobs' | 'objects' | 'checkpoint'>,
  session: StorageSession,
  versions: readonly string[],
): Promise<void> {
  for (const version of versions) await services.blobs.remove({ tenantId: session.tenantId, version })
  services.checkpoint('blobs-removed')
  await services.objects.forgetBlobs(session.asService(), versions)
}
