import { readdir } from 'node:fs/promises'
import { readLargestRssBytes, readProcessTree } from './bench/process-usage.ts'
import type { LoadPlatform } from './platform.ts'

const EVERY_MS = 2_000
const SERVICES = ['gateway', 'backend', 'control', 'metering'] as const

/** Memory and open handles of one service's largest process, over time. */
export type ProcessSamples = {
  name: string
  largestRssBytes: number
  rssBytes: readonly number[]
  handles: readonly number[]
}

/** Looks at the platform's service processes every two seconds until it is stopped. */
export function sampleProcesses(platform: LoadPlatform): { stop(): Promise<ProcessSamples[]> } {
  const samples = new Map(SERVICES.map((name) => [name, { rssBytes: [] as number[], handles: [] as number[] }]))
  const look = async () => {
    const { pids } = await platform.refresh().catch(() => platform.endpoints)
    for (const [name, { rssBytes, handles }] of samples) {
      const all = (await Promise.all((pids[name] ?? []).map((pid) => readProcessTree(pid)))).flat()
      const rss = await readLargestRssBytes(all)
      // A process that is being replaced shows nothing for a moment.
      if (rss === 0) continue
      rssBytes.push(rss)
      handles.push(Math.max(0, ...(await Promise.all(all.map(countHandles)))))
    }
  }
  let looking = look()
  const timer = setInterval(() => {
    looking = looking.then(look)
  }, EVERY_MS)
  return {
    async stop() {
      clearInterval(timer)
      await looking
      return [...samples].map(([name, { rssBytes, handles }]) => ({
        name,
        largestRssBytes: Math.max(0, ...rssBytes),
        rssBytes,
        handles,
      }))
    },
  }
}

async function countHandles(pid: number): Promise<number> {
  return readdir(`/proc/${pid}/fd`).then(
    (entries) => entries.length,
    () => 0,
  )
}
