import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, lstat, mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { setPriority, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findPostgresBinaries, type PostgresBinaries, SHARED_STATE_DIRECTORY } from './postgres-binaries.ts'
import { commandLine, endProcess, isAlive } from './processes.ts'
import { canReach, findUnprivilegedUser, type OsUser } from './unprivileged-user.ts'

export type PostgresServerOptions = {
  /** The data directory; made and initialised when it is not there. */
  directory: string
  port: number
  /** Of the superuser `postgres`. Only read by `initialise`; an existing directory keeps its own. */
  password: string
  /** Server settings, such as `{ shared_buffers: '64MB' }`. */
  settings?: Readonly<Record<string, string>>
  /** Receives the server's log lines. */
  onLog?: (line: string) => void
  /** Called when the server ends without having been stopped. */
  onExit?: (code: number | null) => void
}

/** Marks a directory as whole; Postgres passes over files that it does not know. */
export const INITIALISED = 'aerodb.initialised'

/**
 * Passwords only, from this machine only. `all` holds no physical replication: nobody streams the whole server, while logical
 * replication is a connection to its database.
 */
const HBA = `host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
`

/**
 * One PostgreSQL server process of our own, on loopback TCP, from the embedded programs. Where we are root it runs as an
 * unprivileged user; a directory that this user cannot reach is kept under `/var/lib/aerodb` and linked from its place.
 */
export class PostgresServer {
  readonly #options: PostgresServerOptions
  #child: ChildProcess | undefined
  #stopping = false

  constructor(options: PostgresServerOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** The administrator's URL of `database`. */
  url(database = 'postgres'): string {
    return `postgres://postgres:${encodeURIComponent(this.#options.password)}@127.0.0.1:${this.#options.port}/${database}`
  }

  /** Makes the data directory if needed, ends a server that a killed launcher left on it, starts, and waits until it answers. */
  async start(timeoutMs = 30_000): Promise<void> {
    const user = await findUnprivilegedUser()
    const binaries = await findPostgresBinaries(user)
    const directory = await preparePostgresDirectory(this.#options.directory, user)
    if (!(await isInitialised(directory))) await this.#initialise(binaries, directory, user)
    await endServerOn(directory)
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const fault = await this.#spawn(binaries, directory, user, deadline)
      if (fault === undefined) return
      // A killed postmaster's children hold its shared memory until they notice; then the next try succeeds.
      if (!fault.includes('shared memory') || performance.now() > deadline)
        throw new Error(`Postgres did not start: ${fault}`)
      await sleep(100)
    }
  }

  /** Fast shutdown (SIGINT): sessions are ended, data is flushed. */
  async stop(timeoutMs = 20_000): Promise<void> {
    this.#stopping = true
    const pid = this.#child?.pid
    if (pid !== undefined && this.#child?.exitCode === null) await endProcess(pid, 'SIGINT', timeoutMs)
    this.#child = undefined
  }

  async #initialise(binaries: PostgresBinaries, directory: string, user: OsUser | undefined): Promise<void> {
    // A killed initdb leaves a partial directory behind, which it would refuse to use.
    for (const entry of await readdir(directory)) {
      await rm(join(directory, entry), { recursive: true, force: true })
    }
    const passwordFile = join(tmpdir(), `aerodb-initdb-${randomBytes(8).toString('hex')}`)
    await writeFile(passwordFile, `${this.#options.password}\n`, { mode: 0o600 })
    try {
      if (user !== undefined) await chown(passwordFile, user.uid, user.gid)
      await runInitdb(binaries, directory, user, ['--pwfile', passwordFile, '--auth', 'scram-sha-256'])
      await writeFile(join(directory, 'pg_hba.conf'), HBA)
      await writeFile(join(directory, INITIALISED), '')
    } finally {
      await rm(passwordFile, { force: true })
    }
  }

  /** Starts the process; resolves with `undefined` once it answers, or with the reason why it did not come up. */
  async #spawn(
    binaries: PostgresBinaries,
    directory: string,
    user: OsUser | undefined,
    deadline: number,
  ): Promise<string | undefined> {
    const { port, settings = {}, onLog, onExit } = this.#options
    const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }
    const args = [
      '-D',
      directory,
      '-p',
      String(port),
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]
    // A session of its own: Ctrl-C in the terminal reaches the launcher only, which stops its parts in order.
    const child = spawn(binaries.postgres, args, {
      ...identity(user),
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    this.#child = child
    this.#stopping = false
    let lastLines = ''
    let exited = false
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastLines = (lastLines + text).slice(-2_000)
      for (const line of text.split('\n')) if (line !== '') onLog?.(line)
    })
    let answered = false
    child.once('error', (fault) => {
      exited = true
      lastLines += fault.message
    })
    child.once('exit', (code) => {
      exited = true
      if (answered && !this.#stopping) onExit?.(code)
    })
    while (!exited) {
      if (await answers(this.url())) {
        answered = true
        return undefined
      }
      if (performance.now() > deadline) {
        await this.stop()
        return `no answer in time. ${lastLines}`
      }
      await sleep(15)
    }
    return lastLines.trim()
  }
}

/**
 * Makes the data directory `directory` unless it is there, belonging to `user`. One that this user could not reach lies under
 * `/var/lib/aerodb` and is linked from its place. @returns where it lies.
 */
export async function preparePostgresDirectory(directory: string, user: OsUser | undefined): Promise<string> {
  const wanted = resolve(directory)
  await mkdir(dirname(wanted), { recursive: true })
  if (user === undefined) {
    await mkdir(wanted, { recursive: true, mode: 0o700 })
    return wanted
  }
  const present = await lstat(wanted).catch(() => undefined)
  if (present === undefined && !(await canReach(dirname(wanted), user))) {
    const actual = join(SHARED_STATE_DIRECTORY, `data-${randomBytes(8).toString('hex')}`)
    await mkdir(SHARED_STATE_DIRECTORY, { recursive: true, mode: 0o755 })
    await mkdir(actual, { mode: 0o700 })
    await symlink(actual, wanted)
  } else if (present === undefined) {
    await mkdir(wanted, { mode: 0o700 })
  }
  const actual = await realpath(wanted)
  await chown(actual, user.uid, user.gid)
  return actual
}

/** A directory that `initdb` did not finish (it was killed) holds a `PG_VERSION`, too, but has never been started. */
async function isInitialised(directory: string): Promise<boolean> {
  const names = await readdir(directory)
  return names.includes(INITIALISED) || names.includes('postmaster.opts')
}

/** Ends the server that runs on `directory`, if one does: its launcher was killed. */
async function endServerOn(directory: string): Promise<void> {
  const pid = await findServerOn(directory)
  if (pid !== undefined) await endProcess(pid, 'SIGINT', 20_000)
}

/** The process id of the server that runs on the data directory `directory`, if one does, whoever started it. */
export async function findServerOn(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(text.split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 1 || !(await isAlive(pid))) return undefined
  return (await commandLine(pid)).includes(directory) ? pid : undefined
}

/**
 * Makes a cluster in the empty `directory`, with a system identifier of its own, the superuser `postgres` and our locale. It is
 * on disk for good when this returns. @param niceness above 0 for what nobody waits for
 */
export async function runInitdb(
  binaries: PostgresBinaries,
  directory: string,
  user: OsUser | undefined,
  args: readonly string[],
  niceness = 0,
): Promise<void> {
  const locale = ['--encoding', 'UTF8', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C']
  await runToEnd(binaries.initdb, ['--pgdata', directory, '--username', 'postgres', ...locale, ...args], user, niceness)
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

function identity(user: OsUser | undefined): { uid?: number; gid?: number; env: NodeJS.ProcessEnv } {
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
  return user === undefined ? { env } : { uid: user.uid, gid: user.gid, env }
}

async function runToEnd(
  program: string,
  args: readonly string[],
  user: OsUser | undefined,
  niceness: number,
): Promise<void> {
  const child = spawn(program, args, { ...identity(user), cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  if (niceness > 0 && child.pid !== undefined) setPriority(child.pid, niceness)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new Error(`${program} failed: ${output.trim().slice(-2_000)}`)
}
