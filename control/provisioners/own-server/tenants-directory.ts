import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SHARED_STATE_DIRECTORY } from '../../../runtime/postgres-binaries.ts'
import { canReach } from '../../../runtime/unprivileged-user.ts'

/** Tenants' servers run under user ids from here on, one each, where we are root. No account has them. */
const FIRST_TENANT_UID = 200_001
/** A Unix socket's path fits 107 bytes; `/<cluster>-<node>/.s.PGSQL.<port>` takes 48 of them. */
const MAX_PATH_LENGTH = 107 - 48

/** Where the data of tenants' own servers lies on this machine, and the name that this machine's data goes by. */
export type TenantsDirectory = { path: string; node: string }

/** Makes `<data dir>/tenants` where it is not there yet. @throws when its path is too long for Unix sockets. */
export async function prepareTenantsDirectory(dataDirectory: string): Promise<TenantsDirectory> {
  await makeTenantsDirectory(dataDirectory)
  const path = await realpath(join(resolve(dataDirectory), 'tenants'))
  if (path.length > MAX_PATH_LENGTH)
    throw new Error(
      `AERODB_DATA_DIR is too long for Unix sockets: ${path} must have at most ${MAX_PATH_LENGTH} characters`,
    )
  await chmod(path, 0o711)
  return { path, node: await readNodeName(path) }
}

/**
 * Makes the folder `tenants` unless it is there. Where we are root and the tenants' users could not enter the data directory
 * (root's home), it lies under `/var/lib/aerodb` and is linked from its place. Others may pass through it but not list it.
 * @param within where it is made, if it comes to `dataDirectory` only later.
 */
export async function makeTenantsDirectory(dataDirectory: string, within = dataDirectory): Promise<void> {
  const wanted = join(resolve(within), 'tenants')
  await mkdir(resolve(within), { recursive: true })
  if ((await lstat(wanted).catch(() => undefined)) !== undefined) return
  const isRoot = process.getuid?.() === 0
  const stranger = { name: 'tenant', uid: FIRST_TENANT_UID, gid: FIRST_TENANT_UID }
  const fits =
    join(resolve(dataDirectory), 'tenants').length <= MAX_PATH_LENGTH &&
    (!isRoot || (await canReach(resolve(dataDirectory), stranger)))
  if (fits || !isRoot) {
    await mkdir(wanted, { mode: 0o711 })
    return
  }
  const actual = join(SHARED_STATE_DIRECTORY, `tenants-${randomBytes(8).toString('hex')}`)
  await mkdir(SHARED_STATE_DIRECTORY, { recursive: true, mode: 0o755 })
  await mkdir(actual, { mode: 0o711 })
  await symlink(actual, wanted)
}

/** A random name kept with the data: it goes where the data goes, which no host name does. */
async function readNodeName(path: string): Promise<string> {
  const file = join(path, 'node')
  try {
    await writeFile(file, `node-${randomBytes(8).toString('hex')}`, { flag: 'wx', mode: 0o600 })
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault
  }
  return (await readFile(file, 'utf8')).trim()
}
