import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Observation } from './finding.ts'

/** Secrets that others may not even read, and folders that others may not enter. */
const CLOSED_FILES = ['secrets.json', 'endpoints.json', 'up.lock']
const CLOSED_FOLDERS = ['postgres', 'redis', 'spool', 'directory', 'logs']
/** Holds the data directories of tenants' own servers; it may be passed through, they may not. */
const TENANTS_FOLDER = 'tenants'

/** Looks at the modes of what an embedded platform keeps; what is not there is not asked for. */
export async function auditFileModes(dataDirectory: string): Promise<Observation[]> {
  const observations: Observation[] = []
  const entriesOf = (path: string) => readdir(path).catch((): string[] => [])
  const closed = (await entriesOf(dataDirectory)).filter((name) => [...CLOSED_FILES, ...CLOSED_FOLDERS].includes(name))
  const tenants = join(dataDirectory, TENANTS_FOLDER)
  const paths = [
    ...closed.map((name) => join(dataDirectory, name)),
    ...(await entriesOf(tenants)).map((name) => join(tenants, name)),
  ]
  for (const path of paths) {
    const info = await lstat(path).catch(() => undefined)
    // A link's own mode means nothing; what it leads to lies under a folder of its own.
    if (info === undefined || info.isSymbolicLink()) continue
    const mode = info.mode & 0o777
    if ((mode & 0o077) !== 0)
      observations.push({
        code: 'file_mode',
        schema: null,
        object: path,
        what: `its mode is ${mode.toString(8).padStart(4, '0')}`,
      })
  }
  return observations
}
