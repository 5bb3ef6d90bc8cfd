import { access } from 'node:fs/promises'
import { installDebianPackages } from '../../runtime/debian-packages.ts'

const PROGRAM = '/usr/bin/psql'

/** The real psql, installed where it is missing. @throws with the reason where it cannot be had. */
export async function ensurePsql(): Promise<string> {
  const isThere = () =>
    access(PROGRAM).then(
      () => true,
      () => false,
    )
  if (await isThere()) return PROGRAM
  const outcome = await installDebianPackages(['postgresql-client'])
  if (!(await isThere()))
    throw new Error(`psql is needed (Debian: postgresql-client)${outcome.isInstalled ? '' : `: ${outcome.why}`}`)
  return PROGRAM
}
