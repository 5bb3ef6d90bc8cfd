import { constants, createWriteStream } from 'node:fs'
import { copyFile, link, mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ByteRange } from '../range.ts'
import { BlobMissingError, type BlobRef, type BlobStore, checkBlobRef, checkTenantId } from './blob-store.ts'

/**
 * Blobs as files: `<root>/<tenant id>/<first two characters of the version>/<version>`, mode 0600. A blob is written under its
 * name with `.part`, flushed to disk, and renamed, so a file without `.part` is always whole.
 */
export class FileBlobStore implements BlobStore {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async write(ref: BlobRef, source: Readable): Promise<void> {
    const path = this.#path(ref)
    const partial = `${path}.part`
    try {
      await makeDirectory(dirname(path))
      await pipeline(source, createWriteStream(partial, { flags: 'wx', mode: 0o600, flush: true }))
      await rename(partial, path)
      await flushDirectory(dirname(path))
    } catch (fault) {
      source.destroy()
      await rm(partial, { force: true })
      throw fault
    }
  }

  async read(ref: BlobRef, range?: ByteRange): Promise<Readable> {
    const file = await open(this.#path(ref), 'r').catch((fault: unknown) => {
      throw isMissing(fault) ? new BlobMissingError(ref, fault) : fault
    })
    if (range === undefined) return file.createReadStream({ highWaterMark: 256 * 1024 })
    if (range.last < range.first) {
      await file.close()
      return Readable.from([])
    }
    return file.createReadStream({ start: range.first, end: range.last, highWaterMark: 256 * 1024 })
  }

  /** Blobs never change, so a copy is a further hard link; where the file system has none, the bytes are copied. */
  async copy(from: BlobRef, to: BlobRef): Promise<void> {
    const [source, target] = [this.#path(from), this.#path(to)]
    await makeDirectory(dirname(target))
    try {
      await link(source, target)
    } catch (fault) {
      if (isMissing(fault)) throw new BlobMissingError(from, fault)
      await copyFile(source, `${target}.part`, constants.COPYFILE_FICLONE)
      await flushFile(`${target}.part`)
      await rename(`${target}.part`, target)
    }
    await flushDirectory(dirname(target))
  }

  async remove(ref: BlobRef): Promise<void> {
    const path = this.#path(ref)
    for (const name of [path, `${path}.part`]) {
      await unlink(name).catch((fault: unknown) => {
        if (!isMissing(fault)) throw fault
      })
    }
  }

  async removeTenant(tenantId: string): Promise<void> {
    checkTenantId(tenantId)
    await rm(join(this.#root, tenantId), { recursive: true, force: true })
  }

  async close(): Promise<void> {}

  #path(ref: BlobRef): string {
    checkBlobRef(ref)
    return join(this.#root, ref.tenantId, ref.version.slice(0, 2), ref.version)
  }
}

/** Makes a folder that survives a crash: each level that is new is flushed into the one above it. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await flushDirectory(dirname(made))
}

async function flushDirectory(path: string): Promise<void> {
  await flushFile(path)
}

async function flushFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(fault: unknown): boolean {
  return fault instanceof Error && 'code' in fault && (fault.code === 'ENOENT' || fault.code === 'ENOTDIR')
}
