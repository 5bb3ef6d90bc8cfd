import { execFile } from 'node:child_process'
import { access, chmod, constants, readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** An account of the operating system that a server runs under. */
export type OsUser = { name: string; uid: number; gid: number }

/**
 * The account for servers that refuse to run as root: `undefined` when we are not root (then they run as us); otherwise the
 * system's `postgres`, our own `aerodb`, or a system user `aerodb` made now; `nobody` where none can be made.
 */
export async function findUnprivilegedUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const existing = (await lookUp('aerodb')) ?? (await lookUp('postgres'))
  if (existing !== undefined) return existing
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'aerodb'])
  } catch {
    // No useradd here (a minimal image): an account that every system has must do.
  }
  const user = (await lookUp('aerodb')) ?? (await lookUp('nobody'))
  if (user === undefined)
    throw new Error('Postgres does not run as root, and no other account exists: add a user "aerodb".')
  return user
}

/** True when `user` can enter every folder above `path` (by the mode bits; access lists are not looked at). */
export async function canReach(path: string, user: OsUser): Promise<boolean> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const info = await stat(folder).catch(() => undefined)
    if (info?.isDirectory()) {
      const bit = info.uid === user.uid ? 0o100 : info.gid === user.gid ? 0o010 : 0o001
      if ((info.mode & bit) === 0) return false
    }
    if (folder === dirname(folder)) return true
  }
}

/** Makes `file` executable unless it is already; npm does not always keep the bit. */
export async function makeExecutable(file: string): Promise<void> {
  try {
    await access(file, constants.X_OK)
  } catch {
    await chmod(file, 0o755)
  }
}

async function lookUp(name: string): Promise<OsUser | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n')
  const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':')
  return fields === undefined ? undefined : { name, uid: Number(fields[2]), gid: Number(fields[3]) }
}
