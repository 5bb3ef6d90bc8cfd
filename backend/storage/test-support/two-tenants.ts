import { makeLogger } from '../../../runtime/log.ts'
import { FileBlobStore } from '../blobs/file-blob-store.ts'
import { localFetch, storageClient } from './client.ts'
import { filesBelow, temporaryDirectory } from './files.ts'
import { StorageServer } from './storage-server.ts'
import { openExecutor, TenantDatabase } from './tenant-database.ts'

/** Two tenants without any bucket on one server, with a client for each kind of caller. */
export async function openTwoTenants() {
  const log = makeLogger('test', 'silent')
  const database = await TenantDatabase.create()
  const tenant = await database.createTenant()
  const other = await database.createTenant()
  const executor = openExecutor(database.address, log)
  const directory = await temporaryDirectory()
  const server = await StorageServer.start({ executor, blobs: new FileBlobStore(directory.path), log })
  server.add(tenant, other)
  return {
    database,
    executor,
    server,
    tenant,
    other,
    service: (of = tenant) => storageClient(server, of, 'service'),
    anon: (of = tenant) => storageClient(server, of, 'anon'),
    user: (subject: string, of = tenant) => storageClient(server, of, `user-${subject}`),
    /** A request as it is, with an api key. */
    raw: (path: string, init: RequestInit = {}, key = 'service', of = tenant) =>
      localFetch(server.url(of, path), { ...init, headers: { apikey: key, ...init.headers } }),
    /** Blobs on disk, once the background has nothing to do. */
    blobs: async () => {
      await server.api.services.background.drain()
      return filesBelow(directory.path)
    },
    close: async () => {
      await server.close()
      await executor.close()
      await database.close()
      await directory.remove()
    },
  }
}
