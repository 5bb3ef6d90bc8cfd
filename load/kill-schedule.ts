import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadPlatform } from './platform.ts'

/** Who was killed, and when (monotonic). */
export type Kill = { name: string; atMs: number }

/** Who is killed, in turns; the databases are killed as hard as the services. */
const VICTIMS = ['gateway', 'backend', 'metering', 'redis', 'control', 'postgres'] as const

/**
 * Kills (-9) one process of the platform every `everyMs`, by the ids that `endpoints.json` names now. Only for a platform of
 * our own. `stop` resolves with those that were killed.
 */
export function startKilling(
  platform: LoadPlatform,
  everyMs: number,
  onProgress: (text: string) => void,
): { stop(): Promise<Kill[]> } {
  const kills: Kill[] = []
  const aborter = new AbortController()
  const loop = async () => {
    for (let turn = 0; ; turn++) {
      await sleep(everyMs, undefined, { signal: aborter.signal })
      const name = VICTIMS[turn % VICTIMS.length] ?? 'gateway'
      const { pids } = await platform.refresh().catch(() => platform.endpoints)
      const [pid] = pids[name] ?? []
      if (pid === undefined) continue
      try {
        process.kill(pid, 'SIGKILL')
        kills.push({ name, atMs: performance.now() })
        onProgress(`killed ${name}`)
      } catch {
        // It has been replaced since: the next turn takes another.
      }
    }
  }
  const running = loop().catch((fault: Error) => {
    if (fault.name !== 'AbortError') throw fault
  })
  return {
    async stop() {
      aborter.abort()
      await running
      return kills
    },
  }
}
