import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { adminConfig, runningPort } from '../../control/provisioners/own-server/own-server.ts'
import { archiveFolder, type Sealed, writeArchive } from './archive.ts'
import { connectForBackup, readServerFacts, streamBaseBackup } from './base-backup.ts'

/** A server that is starting, stopping or being replaced is tried again for so long. */
const TRY_MS = 60_000
const RETRY_MS = 500

/**
 * Copies the server on the data directory `directory`: by a base backup while it runs, file by file while it does not (it
 * is paused), and again when it was woken meanwhile.
 * @param path the archive to write; @param remove removes one that was begun.
 * @throws when it neither can be reached nor stands still.
 */
export async function copyOwnServer(
  directory: string,
  path: string,
  remove: () => Promise<void>,
): Promise<Sealed & { versionNum: number }> {
  for (const deadline = performance.now() + TRY_MS; ; await sleep(RETRY_MS)) {
    try {
      const port = await notedPort(directory)
      const client = port === undefined ? undefined : await reach(directory, port)
      return client === undefined ? await copyStill(directory, path) : await copyRunning(client, path)
    } catch (fault) {
      await remove()
      if (performance.now() > deadline) throw fault
    }
  }
}

/** The port that the last server on the directory noted, whether it runs or was killed. */
async function notedPort(directory: string): Promise<number | undefined> {
  const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const port = Number(lines[3])
  return Number.isInteger(port) && port > 0 ? port : undefined
}

/**
 * By its socket, which tells of a server in another container too, whose process we do not see. `undefined` when nobody
 * listens there. @throws when it runs and does not answer: it is starting, or stopping.
 */
async function reach(directory: string, port: number): Promise<pg.Client | undefined> {
  try {
    return await connectForBackup(adminConfig({ directory, port }))
  } catch (fault) {
    const { code } = fault as { code?: string }
    if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw fault
    if ((await runningPort(directory)) !== undefined) throw fault
    return undefined
  }
}

async function copyRunning(client: pg.Client, path: string): Promise<Sealed & { versionNum: number }> {
  try {
    const { versionNum } = await readServerFacts(client)
    return { ...(await writeArchive(await streamBaseBackup(client), path)), versionNum }
  } finally {
    await client.end().catch(() => {})
  }
}

async function copyStill(directory: string, path: string): Promise<Sealed & { versionNum: number }> {
  // A server that starts writes there, and again when it stops.
  const control = () => readFile(join(directory, 'global', 'pg_control'))
  const before = await control()
  const noted = await notedPort(directory)
  const sealed = await archiveFolder(directory, path)
  if ((await notedPort(directory)) !== noted || !before.equals(await control()))
    throw new Error('The server was woken while it was copied')
  const major = Number((await readFile(join(directory, 'PG_VERSION'), 'utf8')).trim())
  return { ...sealed, versionNum: major * 10_000 }
}
