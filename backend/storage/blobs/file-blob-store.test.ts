import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { makeId } from '../../../runtime/ids.ts'
import { filesBelow, temporaryDirectory } from '../test-support/files.ts'
import { promiseBlobStore } from './blob-store.conformance.ts'
import { FileBlobStore } from './file-blob-store.ts'

promiseBlobStore(async () => {
  const directory = await temporaryDirectory()
  return {
    store: new FileBlobStore(directory.path),
    count: async () => (await filesBelow(directory.path)).length,
    close: directory.remove,
  }
})

test('files and folders are for the service’s own user, and what a killed write left goes with the blob', async () => {
  const directory = await temporaryDirectory()
  try {
    const store = new FileBlobStore(directory.path)
    const blob = { tenantId: makeId('ten'), version: 'aa000000-0000-4000-8000-000000000000' }
    const path = join(directory.path, blob.tenantId, 'aa', blob.version)
    await store.write(blob, Readable.from([Buffer.from('x')]))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory.path, blob.tenantId))).mode & 0o777).toBe(0o700)
    await mkdir(join(directory.path, blob.tenantId, 'aa'), { recursive: true })
    await writeFile(`${path}.part`, 'half')
    await store.remove(blob)
    expect(await filesBelow(directory.path)).toEqual([])
  } finally {
    await directory.remove()
  }
})
