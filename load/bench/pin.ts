import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Holds a process that is running already, with all its threads, to one core; what it starts later inherits it. */
export async function pinToCore(pid: number, core: number | undefined): Promise<void> {
  if (core === undefined) return
  await run('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)])
}
