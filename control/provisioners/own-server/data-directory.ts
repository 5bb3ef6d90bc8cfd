import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../../runtime/log.ts'
import type { PostgresBinaries } from '../../../runtime/postgres-binaries.ts'
import { runInitdb } from '../../../runtime/postgres-server.ts'
import type { OsUser } from '../../../runtime/unprivileged-user.ts'

const SPARE_PREFIX = 'spare-'
const COPY_PREFIX = 'copy-'
/** Spares that are kept once there are tenants with servers of their own: so many creates in a row wait for no initdb. */
const SPARES = 3
/** Spares that are made at once. */
const MAKERS = 2
/** They are made while others wait for tenants. */
const SPARE_NICENESS = 10

/**
 * Who may come in, and how. The administrator comes through the socket inside the directory, which only we can enter, and is
 * known to Postgres by the operating system: there is no administrator's password. The two logins of the backends come over
 * loopback with SCRAM. Nobody else is admitted.
 */
const HBA = `local all postgres peer map=control
host postgres aerodb_request,aerodb_ddl,aerodb_replication 127.0.0.1/32 scram-sha-256
`

/**
 * Makes data directories, each by an initdb of its own (own system identifier). Some are made ahead and kept as spares, so
 * that a create only has to take one: a rename, which is the moment from which the directory counts as made.
 */
export class DataDirectories {
  readonly #root: string
  readonly #binaries: PostgresBinaries
  /** Who runs initdb, which asks for an account; `undefined` where we are not root. */
  readonly #initdbUser: OsUser | undefined
  readonly #log: Logger
  /** Made or being made, the first one to be ready first. */
  readonly #spares: Promise<string | undefined>[] = []
  #making = 0
  #closed = false

  constructor(options: { root: string; binaries: PostgresBinaries; initdbUser: OsUser | undefined; log: Logger }) {
    this.#root = options.root
    this.#binaries = options.binaries
    this.#initdbUser = options.initdbUser
    this.#log = options.log
  }

  /** @param name a tenant's id, or the name of a cluster's node. */
  path(name: string): string {
    if (!/^(ten_[0-9a-hjkmnp-tv-z]{26}|clu_[0-9a-hjkmnp-tv-z]{26}-[1-9])$/.test(name))
      throw new Error('Not the name of a data directory')
    return join(this.#root, name)
  }

  /** Makes spares, and removes what killed processes left half-made. */
  async prepareSpares(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const isOld = await stat(join(this.#root, name)).then(
        (info) => Date.now() - info.mtimeMs > 60_000,
        () => false,
      )
      if (name.startsWith(SPARE_PREFIX) && isOld) await rm(join(this.#root, name), { recursive: true, force: true })
    }
    this.#makeSpares()
  }

  /** The data directory of that name, made if it is not there, belonging to `uid` where that is given. */
  async ensure(name: string, uid: number | undefined): Promise<string> {
    const path = this.path(name)
    if (await exists(path)) return path
    const made = (await this.#spares.shift()) ?? (await this.#make())
    if (uid !== undefined) await runChown(uid, made)
    await rename(made, path)
    this.#makeSpares()
    return path
  }

  /** Makes the directory of that name anew, by `fill`, which makes it under the path that it is given. One caller at a time for each name. */
  async replace(name: string, uid: number | undefined, fill: (path: string) => Promise<void>): Promise<string> {
    const made = join(this.#root, `${COPY_PREFIX}${name}`)
    await rm(made, { recursive: true, force: true })
    await fill(made)
    if (uid !== undefined) await runChown(uid, made)
    await this.#removeMade(name)
    await rename(made, this.path(name))
    return this.path(name)
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#root, `${COPY_PREFIX}${name}`), { recursive: true, force: true })
    await this.#removeMade(name)
  }

  async #removeMade(name: string): Promise<void> {
    const path = this.path(name)
    if (!(await exists(path))) return
    // Out of its place first: a half-removed directory must never look like a tenant's.
    const gone = join(this.#root, `${SPARE_PREFIX}gone-${randomBytes(8).toString('hex')}`)
    await rename(path, gone)
    await rm(gone, { recursive: true, force: true })
  }

  /** Removes the spares. */
  async close(): Promise<void> {
    this.#closed = true
    for (const made of this.#spares.splice(0)) {
      const spare = await made
      if (spare !== undefined) await rm(spare, { recursive: true, force: true })
    }
  }

  #makeSpares(): void {
    while (!this.#closed && this.#making < MAKERS && this.#spares.length < SPARES) {
      this.#making++
      const spare: Promise<string | undefined> = this.#make(SPARE_NICENESS).then(
        (path) => path,
        (fault) => {
          this.#log.warn({ err: fault }, 'no spare data directory could be made')
          return undefined
        },
      )
      this.#spares.push(spare)
      void spare.then((path) => {
        this.#making--
        // What failed is not tried again before the next create.
        if (path === undefined) this.#forget(spare)
        else this.#makeSpares()
      })
    }
  }

  #forget(spare: Promise<string | undefined>): void {
    const index = this.#spares.indexOf(spare)
    if (index >= 0) this.#spares.splice(index, 1)
  }

  async #make(niceness = 0): Promise<string> {
    const path = join(this.#root, `${SPARE_PREFIX}${randomBytes(8).toString('hex')}`)
    await mkdir(path, { mode: 0o700 })
    try {
      const user = this.#initdbUser
      if (user !== undefined) await chown(path, user.uid, user.gid)
      // A password is asked for by none of the rules; small segments keep an idle tenant small.
      await runInitdb(this.#binaries, path, user, ['--auth', 'reject', '--wal-segsize', '4'], niceness)
      await writeFile(join(path, 'pg_hba.conf'), HBA, { mode: 0o600 })
      await writeFile(join(path, 'pg_ident.conf'), `control "${userInfo().username}" postgres\n`, { mode: 0o600 })
    } catch (fault) {
      await rm(path, { recursive: true, force: true })
      throw fault
    }
    return path
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function runChown(uid: number, path: string): Promise<void> {
  const child = spawn('chown', ['-R', `${uid}:${uid}`, path], { stdio: 'ignore' })
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new Error(`chown of ${path} failed`)
}
