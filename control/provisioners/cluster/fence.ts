import { readdir, readlink } from 'node:fs/promises'
import { findServerOn } from '../../../runtime/postgres-server.ts'
import { commandLine, endProcess } from '../../../runtime/processes.ts'

const GONE_WITHIN_MS = 5_000

/**
 * Ends whatever Postgres runs on `directory`, at once and for certain: the postmaster and each process that it left behind. When
 * this resolves no process can send a standby a byte more, nor acknowledge a commit.
 */
export async function fenceServer(directory: string): Promise<void> {
  const postmaster = await findServerOn(directory)
  if (postmaster !== undefined) await endProcess(postmaster, 'SIGKILL', GONE_WITHIN_MS)
  const left = await listServerProcesses(directory)
  await Promise.all(left.map((pid) => endProcess(pid, 'SIGKILL', GONE_WITHIN_MS)))
}

/** Every process of a Postgres works in its data directory, by which it is known, also when its postmaster is gone. */
async function listServerProcesses(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc').catch((): string[] => [])).map(Number).filter((pid) => pid > 1)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const workingDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
      return workingDirectory === directory && (await commandLine(pid)).includes('postgres') ? pid : undefined
    }),
  )
  return found.filter((pid) => pid !== undefined)
}
