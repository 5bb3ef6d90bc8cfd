import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isAlive, startTicks } from '../../runtime/processes.ts'
import { MANIFEST_FILE } from './manifest.ts'

/** By when it was begun, so that names sort by age. */
const NAME = /^aerodb-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z$/
const PARTIAL = /^\.partial-(.+)-(\d+)-(\d*)$/

/** The name of a backup that begins now. */
export function nameBackup(nowMs: number): string {
  return `aerodb-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`
}

/** The whole backups in a folder, the oldest first. */
export async function listBackups(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort()
  const whole: string[] = []
  for (const name of names) if ((await readdir(join(directory, name))).includes(MANIFEST_FILE)) whole.push(name)
  return whole
}

/**
 * Makes the folder of a backup under a name by which none is taken for a whole one, and removes what killed backups of this
 * machine left. `finish` gives it its name; without that nothing has happened.
 */
export async function beginBackup(
  directory: string,
  name: string,
): Promise<{ path: string; finish: () => Promise<string>; discard: () => Promise<void> }> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await removePartials(directory)
  const path = join(directory, `.partial-${hostname()}-${process.pid}-${(await startTicks(process.pid)) ?? ''}`)
  await mkdir(path, { mode: 0o700 })
  return {
    path,
    finish: async () => {
      await rename(path, join(directory, name))
      const handle = await open(directory, 'r')
      await handle.sync().finally(() => handle.close())
      return join(directory, name)
    },
    discard: () => rm(path, { recursive: true, force: true }),
  }
}

/** Removes all but the `keep` youngest. @returns the names of those that are gone. */
export async function removeOldBackups(directory: string, keep: number): Promise<string[]> {
  const old = (await listBackups(directory)).slice(0, -keep)
  for (const name of old) {
    // Not a backup any more from the first moment on.
    const gone = join(directory, `.partial-${hostname()}-0-`)
    await rm(gone, { recursive: true, force: true })
    await rename(join(directory, name), gone)
    await rm(gone, { recursive: true, force: true })
  }
  return old
}

async function removePartials(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, host, pid, ticks] = name.match(PARTIAL) ?? []
    if (host !== hostname()) continue
    const isRunning = Number(pid) > 0 && (await isAlive(Number(pid))) && (await startTicks(Number(pid))) === ticks
    if (!isRunning) await rm(join(directory, name), { recursive: true, force: true })
  }
}
