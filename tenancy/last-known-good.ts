import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../runtime/log.ts'
import type { DirectoryKind } from './directory-keys.ts'

/** What may be a file name here: tenant and server names only hold these characters. */
const SAFE_KEY = /^[a-z0-9_-]{1,64}$/

/**
 * The last-known-good copy of directory documents on disk, one file each (mode 0600), so that a process that starts while
 * Redis is away still knows the tenants that were served here before. Losing it costs nothing while Redis is there.
 */
export class LastKnownGood {
  readonly #directory: string
  readonly #log: Logger
  #made: Promise<unknown> | undefined

  constructor(directory: string, log: Logger) {
    this.#directory = directory
    this.#log = log
  }

  /** The stored document, or `undefined`. */
  async read(kind: DirectoryKind, key: string): Promise<string | undefined> {
    if (!SAFE_KEY.test(key)) return undefined
    try {
      return await readFile(this.#path(kind, key), 'utf8')
    } catch {
      return undefined
    }
  }

  /** Stores a document by write and rename; a failure (a full disk) is logged and never reaches a request. */
  async write(kind: DirectoryKind, key: string, document: string): Promise<void> {
    if (!SAFE_KEY.test(key)) return
    try {
      this.#made ??= mkdir(this.#directory, { recursive: true, mode: 0o700 })
      await this.#made
      const temporary = `${this.#path(kind, key)}.${process.pid}.tmp`
      await writeFile(temporary, document, { mode: 0o600 })
      await rename(temporary, this.#path(kind, key))
    } catch (fault) {
      this.#made = undefined
      this.#log.warn({ err: fault, kind, key }, 'could not keep a last-known-good copy')
    }
  }

  /** Removes the copy of a document that is gone. */
  async remove(kind: DirectoryKind, key: string): Promise<void> {
    if (!SAFE_KEY.test(key)) return
    try {
      await rm(this.#path(kind, key), { force: true })
    } catch (fault) {
      this.#log.warn({ err: fault, kind, key }, 'could not remove a last-known-good copy')
    }
  }

  /** Of which documents there are copies. */
  async keys(kind: DirectoryKind): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [])
    return names.flatMap((name) =>
      name.startsWith(`${kind}-`) && name.endsWith('.json') ? [name.slice(kind.length + 1, -'.json'.length)] : [],
    )
  }

  #path(kind: DirectoryKind, key: string): string {
    return join(this.#directory, `${kind}-${key}.json`)
  }
}
