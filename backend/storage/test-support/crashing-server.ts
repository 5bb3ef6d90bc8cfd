import { makeLogger } from '../../../runtime/log.ts'
import { FileBlobStore } from '../blobs/file-blob-store.ts'
import type { Checkpoint } from '../steps/services.ts'
import { StorageServer } from './storage-server.ts'
import { type DatabaseAddress, openExecutor, type TestTenant } from './tenant-database.ts'

/** What a test tells this process: where to work, and when to die. */
export type CrashOrder = { address: DatabaseAddress; directory: string; tenant: TestTenant; moment: Checkpoint }

process.once('message', async (order: CrashOrder) => {
  const log = makeLogger('test', 'silent')
  const server = await StorageServer.start({
    executor: openExecutor(order.address, log),
    blobs: new FileBlobStore(order.directory),
    log,
    sweepEveryMs: Number.POSITIVE_INFINITY,
    checkpoint: (moment) => {
      if (moment === order.moment) process.kill(process.pid, 'SIGKILL')
    },
  })
  server.add(order.tenant)
  process.send?.(server.url(order.tenant))
})
