import { makeLogger } from '../../../runtime/log.ts'
import type { RequestContext } from '../../../tenancy/request-context.ts'
import { FileBlobStore } from '../blobs/file-blob-store.ts'
import { storageClient } from './client.ts'
import { filesBelow, temporaryDirectory } from './files.ts'
import { StorageServer, type StorageServerOptions } from './storage-server.ts'
import { contextOf, openExecutor, TenantDatabase, type TestTenant } from './tenant-database.ts'

/** One tenant with a bucket `files` on a real database, real files and a server: what most tests here need. */
export type Fixture = {
  database: TenantDatabase
  directory: string
  server: StorageServer
  tenant: TestTenant
  files: (key?: string) => ReturnType<ReturnType<typeof storageClient>['from']>
  /** Blobs on disk, once the background has nothing to do. */
  blobs: () => Promise<string[]>
  /** The first row of a query by the database's administrator. */
  row: (sql: string) => Promise<Record<string, unknown> | undefined>
  /** A context of the tenant as the gateway signs it, role `anon`. */
  context: () => RequestContext
  close: () => Promise<void>
}

export async function openFixture(options: Partial<StorageServerOptions> = {}): Promise<Fixture> {
  const log = makeLogger('test', 'silent')
  const database = await TenantDatabase.create()
  const tenant = await database.createTenant()
  const executor = openExecutor(database.address, log)
  const directory = await temporaryDirectory()
  const server = await StorageServer.start({ executor, blobs: new FileBlobStore(directory.path), log, ...options })
  server.add(tenant)
  await storageClient(server, tenant, 'service').createBucket('files')
  return {
    database,
    directory: directory.path,
    server,
    tenant,
    files: (key = 'service') => storageClient(server, tenant, key).from('files'),
    blobs: async () => {
      await server.api.services.background.drain()
      return filesBelow(directory.path)
    },
    row: async (sql) => (await database.admin.query(sql.replaceAll('$schema', tenant.schema))).rows[0],
    context: () => contextOf(tenant, 'anon'),
    close: async () => {
      await server.close()
      await executor.close()
      await database.close()
      await directory.remove()
    },
  }
}

/** Waits until `condition` holds, which it has to within ten seconds. */
export async function waitFor(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('What was waited for did not come')
}
