import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SHARED_STATE_DIRECTORY } from '../../runtime/postgres-binaries.ts'
import { Remedy } from '../remedy.ts'
import { flushFolders } from './copy-tree.ts'

/** Where a restore builds, inside the data directory: what comes into place by a rename must lie on the same disk. */
const FOLDER = '.restoring'
/** In it once all is there: names the backup. From then on a restore that was cut off is finished, not begun again. */
const COMPLETE = 'complete'
/** Belongs to whoever holds the data directory. */
const LOCK = 'up.lock'
const ASIDE_PREFIX = 'before-restore-'

/** What the file says: which backup it is, and where what was there before goes. */
type Complete = { backup: string; aside: string; old: readonly string[] }

/** The part of a restore that is not in its place yet: empty, being filled, or complete and on its way. */
export class Staging {
  readonly path: string
  readonly #directory: string

  /** @param directory the data directory. */
  constructor(directory: string) {
    this.#directory = directory
    this.path = join(directory, FOLDER)
  }

  /** What lies here whole, and is to be brought into place; `undefined` when nothing is. */
  async completed(): Promise<Complete | undefined> {
    const text = await readFile(join(this.path, COMPLETE), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as Complete)
  }

  /** What lies in the data directory beside this. */
  async others(): Promise<string[]> {
    const names = await readdir(this.#directory)
    return names.filter((name) => name !== FOLDER && name !== LOCK && !name.startsWith(ASIDE_PREFIX))
  }

  /** Makes it anew; others may pass through it, as through a data directory. */
  async begin(): Promise<void> {
    await this.discard()
    await mkdir(this.path, { mode: 0o711 })
  }

  /** Removes it with what it holds elsewhere. */
  async discard(): Promise<void> {
    for (const name of await readdir(this.path).catch(() => [])) {
      const target = await readlink(join(this.path, name)).catch(() => undefined)
      // Made by a restore that was cut off, where the data directory is closed to the servers' users.
      if (target?.startsWith(`${SHARED_STATE_DIRECTORY}/`)) await rm(target, { recursive: true, force: true })
    }
    await rm(this.path, { recursive: true, force: true })
  }

  /** All is there: from now on it is this that the data directory will hold. @param backup its name. */
  async complete(backup: string, nowMs: number): Promise<void> {
    await flushFolders(this.path)
    const aside = `${ASIDE_PREFIX}${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`
    const text = JSON.stringify({ backup, aside, old: await this.others() } satisfies Complete)
    await writeFile(join(this.path, `${COMPLETE}.new`), text, { mode: 0o600, flush: true })
    await rename(join(this.path, `${COMPLETE}.new`), join(this.path, COMPLETE))
    await flush(this.path)
  }

  /**
   * Moves what was there out of the way and what is complete into its place. Repeated until it went through.
   * @returns the folder that has what was there, if there was anything.
   */
  async settle({ aside, old }: Complete): Promise<string | undefined> {
    const asidePath = join(this.#directory, aside)
    if (old.length > 0) await mkdir(asidePath, { recursive: true, mode: 0o700 })
    // One that is there already was moved before we were cut off; its place may have been taken since.
    for (const name of old)
      if (!(await isThere(join(asidePath, name)))) await rename(join(this.#directory, name), join(asidePath, name))
    for (const name of await readdir(this.path))
      if (name !== COMPLETE) await rename(join(this.path, name), join(this.#directory, name))
    await flush(this.#directory)
    await rm(this.path, { recursive: true })
    return old.length === 0 ? undefined : asidePath
  }
}

/** @throws Remedy when a restore into `directory` was cut off: what lies there is not whole. */
export async function refuseHalfRestored(directory: string): Promise<void> {
  if (!(await isThere(join(directory, FOLDER)))) return
  throw new Remedy(
    `A restore into ${directory} was cut off.`,
    'Run it again (npm run restore -- --from DIR): it goes on where it was.',
  )
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

async function flush(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  await handle.sync().finally(() => handle.close())
}
