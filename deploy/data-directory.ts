import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { endProcess, isAlive, startTicks } from '../runtime/processes.ts'
import { makeKey } from '../tenancy/key.ts'
import { Remedy } from './remedy.ts'

/** Grows when a release keeps its data in a way that older releases do not understand. */
const FORMAT = 1
/** The database of the metadata and the ledger on the embedded server. */
export const METADATA_DATABASE = 'aerodb'
/** The database of the shared tier there. */
export const SHARED_DATABASE = 'aerodb_shared'

/** The secrets of one embedded platform, made once and kept (mode 0600). */
export type EmbeddedSecrets = {
  format: number
  postgres_password: string
  redis_password: string
  internal_secret: string
  encryption_key: string
  platform_key: string
}

type ProcessMark = { name: string; pid: number; ticks: string; signal: NodeJS.Signals }
type Lock = { pid: number; ticks: string; children: ProcessMark[] }

/**
 * The folder that an embedded run keeps everything in. One launcher at a time holds it; what a killed launcher left
 * running is ended by the next one. Processes are known by id and start time, so a reused id is never taken for ours.
 */
export class DataDirectory {
  readonly path: string
  #children: ProcessMark[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.path = path
  }

  file(...names: string[]): string {
    return join(this.path, ...names)
  }

  /** @throws Remedy when another launcher holds the folder or it cannot be written. */
  async acquire(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true })
      // Others may pass through (Postgres runs as a user of its own), not look inside.
      await chmod(this.path, 0o711)
    } catch (fault) {
      throw new Remedy(
        `The data directory ${this.path} cannot be used: ${(fault as Error).message}`,
        'Name another one: AERODB_DATA_DIR=...',
      )
    }
    for (;;) {
      try {
        const handle = await open(this.#lockFile, 'wx', 0o600)
        await handle.writeFile(JSON.stringify(await this.#lock()))
        await handle.close()
        return
      } catch (fault) {
        if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault
      }
      await this.#endLeftovers()
    }
  }

  /** Notes a child that is running (or, without a pid, that is not), so that the next launcher can end it. */
  async noteChild(name: string, pid: number | undefined, signal: NodeJS.Signals): Promise<void> {
    const ticks = pid === undefined ? undefined : await startTicks(pid)
    this.#children = this.#children.filter((child) => child.name !== name)
    if (pid !== undefined && ticks !== undefined) this.#children.push({ name, pid, ticks, signal })
    this.#writing = this.#writing.then(async () => replaceFile(this.#lockFile, JSON.stringify(await this.#lock())))
    await this.#writing
  }

  async release(): Promise<void> {
    await this.#writing
    await rm(this.#lockFile, { force: true })
  }

  /** Reads the secrets, or makes them. @throws Remedy when a newer release wrote the folder. */
  async secrets(): Promise<EmbeddedSecrets> {
    const file = this.file('secrets.json')
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text !== undefined) {
      const secrets = JSON.parse(text) as EmbeddedSecrets
      if (secrets.format > FORMAT) {
        throw new Remedy(
          `The data directory ${this.path} was written by a newer release (format ${secrets.format}; this one knows ${FORMAT}).`,
          'Run that release or a newer one, or name another folder: AERODB_DATA_DIR=...',
        )
      }
      return secrets
    }
    const random = () => randomBytes(32).toString('base64url')
    const secrets: EmbeddedSecrets = {
      format: FORMAT,
      postgres_password: random(),
      redis_password: random(),
      internal_secret: random(),
      encryption_key: random(),
      platform_key: makeKey('platform'),
    }
    await replaceFile(file, `${JSON.stringify(secrets, null, 2)}\n`)
    return secrets
  }

  get #lockFile(): string {
    return this.file('up.lock')
  }

  async #lock(): Promise<Lock> {
    return { pid: process.pid, ticks: (await startTicks(process.pid)) ?? '', children: this.#children }
  }

  async #endLeftovers(): Promise<void> {
    const text = await readFile(this.#lockFile, 'utf8').catch(() => '')
    const lock = parseLock(text)
    if (lock !== undefined) {
      if (await isSame(lock)) {
        throw new Remedy(
          `The platform is running already on ${this.path} (process ${lock.pid}).`,
          `Stop it (Ctrl-C in its terminal, or \`kill ${lock.pid}\`), or run a second one: AERODB_DATA_DIR=.aerodb-2 AERODB_GATEWAY_PORT=0 AERODB_GATEWAY_ADMIN_PORT=0 AERODB_CONTROL_PORT=0 npm run up`,
        )
      }
      // The launcher is dead: its services first, what they stand on last.
      for (const child of lock.children.toReversed())
        if (await isSame(child)) await endProcess(child.pid, child.signal, 15_000)
    }
    await rm(this.#lockFile, { force: true })
  }
}

/** Writes by way of a temporary file and a rename, mode 0600: a reader never sees half a file. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, file)
}

function parseLock(text: string): Lock | undefined {
  try {
    return JSON.parse(text) as Lock
  } catch {
    return undefined
  }
}

async function isSame(mark: { pid: number; ticks: string }): Promise<boolean> {
  return (await isAlive(mark.pid)) && (await startTicks(mark.pid)) === mark.ticks
}
