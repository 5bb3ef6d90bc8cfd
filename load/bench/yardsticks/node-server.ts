import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../../runtime/free-port.ts'
import { PinnedProcess } from '../pinned-process.ts'
import type { RunningYardstick } from '../yardstick.ts'

/** Starts one of the programs in `servers/` on a free port and a core; further arguments follow the port. */
export async function startNodeServer(
  file: string,
  args: readonly number[],
  core: number | undefined,
): Promise<RunningYardstick> {
  const port = await findFreePort()
  const program = fileURLToPath(new URL(`../servers/${file}`, import.meta.url))
  const server = await PinnedProcess.start({
    program: process.execPath,
    args: [program, String(port), ...args.map(String)],
    core,
    readyPort: port,
    ipc: true,
  })
  return { port, pids: () => server.pids(), stop: () => server.stop() }
}
