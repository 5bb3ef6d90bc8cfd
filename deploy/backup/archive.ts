import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'

/** A file of a backup: how long it is, and the SHA-256 of it in hexadecimal. */
export type Sealed = { bytes: number; sha256: string }

/** Writes what comes from `source` to the new file `path`, mode 0600 and on disk when this returns. */
export async function writeFileSealed(source: Readable, path: string): Promise<Sealed> {
  const { pass, sealed } = measure()
  await pipeline(source, pass, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
  return sealed()
}

/** As `writeFileSealed`, compressed by Zstandard; the checksum is that of the file. */
export async function writeArchive(source: Readable, path: string): Promise<Sealed> {
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } })
  const { pass, sealed } = measure()
  await pipeline(source, compress, pass, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
  return sealed()
}

/** Reads a file as a whole. @throws when it cannot be read. */
export async function sealOf(path: string): Promise<Sealed> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) {
    hash.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** A folder as a tar archive, without what belongs to a process that runs in it. */
export async function archiveFolder(directory: string, path: string): Promise<Sealed> {
  const skip = ['./postmaster.pid', './postmaster.opts', './.s.PGSQL.*'].map((name) => `--exclude=${name}`)
  const { child, ended } = runTar(['--create', '--directory', directory, ...skip, '.'])
  const [sealed] = await Promise.all([writeArchive(child.stdout as Readable, path), ended])
  return sealed
}

/** Unpacks an archive into `directory`, which is there. Owners are ours, modes are those of the archive. */
export async function unpackArchive(path: string, directory: string): Promise<void> {
  const { child, ended } = runTar(['--extract', '--preserve-permissions', '--no-same-owner', '--directory', directory])
  await Promise.all([
    pipeline(createReadStream(path), createZstdDecompress(), child.stdin as Writable).catch(async (fault) => {
      // What tar has to say is more than that it did not listen.
      await ended
      throw fault
    }),
    ended,
  ])
}

function runTar(args: readonly string[]) {
  const child = spawn('tar', ['--file=-', ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`tar failed: ${complaint.trim()}`))))
  })
  ended.catch(() => {})
  return { child, ended }
}

function measure() {
  const hash = createHash('sha256')
  let bytes = 0
  const pass = new PassThrough({ highWaterMark: 1_048_576 })
  pass.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  return { pass, sealed: (): Sealed => ({ bytes, sha256: hash.digest('hex') }) }
}
