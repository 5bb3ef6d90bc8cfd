import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
})

const SHOWN = 30

/** The option that makes Node write a V8 profile of a process, and of those that it forks, into `folder` when it ends. */
export function profilingEnv(folder: string | undefined): Record<string, string> {
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` }
}

/** Where the busiest of the profiled processes spent its time: functions by their own time, as text. */
export async function renderProfile(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.cpuprofile'))
  const tables = await Promise.all(files.map((file) => readOwnTimes(join(folder, file))))
  const [busiest] = tables.toSorted((a, b) => b.busyUs - a.busyUs)
  if (busiest === undefined) return 'No profile was written.'
  const lines = [...busiest.byFunction]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, us]) => `${((us / busiest.busyUs) * 100).toFixed(1).padStart(5)}%  ${name}`)
  return lines.join('\n')
}

async function readOwnTimes(file: string): Promise<{ busyUs: number; byFunction: Map<string, number> }> {
  const { nodes, samples, timeDeltas } = profileSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  const names = new Map(
    nodes.map(({ id, callFrame }) => {
      const place =
        callFrame.url === ''
          ? ''
          : ` ${callFrame.url.replace(/^.*\/(?=[^/]+\/[^/]+$)/, '')}:${callFrame.lineNumber + 1}`
      return [id, `${callFrame.functionName || '(anonymous)'}${place}`]
    }),
  )
  const byFunction = new Map<string, number>()
  let busyUs = 0
  for (const [i, id] of samples.entries()) {
    const name = names.get(id) ?? '?'
    const us = timeDeltas[i] ?? 0
    if (name === '(idle)') continue
    byFunction.set(name, (byFunction.get(name) ?? 0) + us)
    busyUs += us
  }
  return { busyUs, byFunction }
}
