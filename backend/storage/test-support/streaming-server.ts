import { makeLogger } from '../../../runtime/log.ts'
import { FileBlobStore } from '../blobs/file-blob-store.ts'
import { S3BlobStore, type S3BlobStoreOptions } from '../blobs/s3-blob-store.ts'
import { StorageServer } from './storage-server.ts'
import { type DatabaseAddress, openExecutor, type TestTenant } from './tenant-database.ts'

/** What a test tells this process: where to work. */
export type StreamingOrder = {
  address: DatabaseAddress
  directory: string
  tenant: TestTenant
  s3: S3BlobStoreOptions | undefined
}

process.once('message', async (order: StreamingOrder) => {
  const log = makeLogger('test', 'warn')
  const executor = openExecutor(order.address, log)
  const blobs = order.s3 === undefined ? new FileBlobStore(order.directory) : new S3BlobStore(order.s3)
  const server = await StorageServer.start({ executor, blobs, log })
  server.add(order.tenant)
  process.on('message', async (message) => {
    if (message === 'memory') {
      globalThis.gc?.()
      process.send?.(process.memoryUsage().rss)
    } else if (message === 'stop') {
      await server.close()
      await executor.close()
      process.disconnect?.()
    }
  })
  process.send?.(server.port)
})
