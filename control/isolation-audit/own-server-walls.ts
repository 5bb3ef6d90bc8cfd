import { stat } from 'node:fs/promises'
import { findServerOn } from '../../runtime/postgres-server.ts'
import type { Observation } from './finding.ts'

/** The data directory of a tenant's own server that runs. */
export type OwnDirectory = { name: string; directory: string }

/**
 * Looks at the operating system's side of tenants' own servers: each directory closed to others, belonging to the very user that
 * its server runs as, and, where the platform runs as root, that user being nobody else's (a cluster's nodes have one each).
 */
export async function auditOwnProcesses(servers: readonly OwnDirectory[]): Promise<[OwnDirectory, Observation][]> {
  const observations: [OwnDirectory, Observation][] = []
  const isRoot = process.getuid?.() === 0
  const usedBy = new Map<number, string>()
  for (const server of servers) {
    const seen = (code: 'process_user' | 'file_mode', what: string) =>
      observations.push([server, { code, schema: null, object: server.directory, what }])
    const directory = await stat(server.directory).catch(() => undefined)
    const pid = await findServerOn(server.directory)
    const running = pid === undefined ? undefined : await stat(`/proc/${pid}`).catch(() => undefined)
    // Removed or paused meanwhile; or a system that does not tell.
    if (directory === undefined || running === undefined) continue
    if ((directory.mode & 0o077) !== 0) seen('file_mode', `its mode is 0${(directory.mode & 0o777).toString(8)}`)
    if (running.uid !== directory.uid)
      seen('process_user', `its server runs as user ${running.uid}, it belongs to user ${directory.uid}`)
    if (!isRoot) continue
    if (running.uid === 0) seen('process_user', 'its server runs as root')
    const other = usedBy.get(running.uid)
    if (other !== undefined)
      seen('process_user', `its server runs as user ${running.uid}, and so does that of ${other}`)
    usedBy.set(running.uid, server.name)
  }
  return observations
}
