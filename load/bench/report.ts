import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { renderCapacity } from './capacity.ts'
import type { Cores } from './cores.ts'
import { renderGoals } from './goals.ts'
import type { GroupResult } from './group.ts'
import type { BenchOptions } from './options.ts'
import { foreignShare, renderTable } from './table.ts'

const DOCUMENT = new URL('../../docs/benchmarks.md', import.meta.url)
/** Above this share of the serving core taken by others, the report says that it is noisy. */
const NOISY_SHARE = 0.05

/** One section of Markdown for each group that was measured. */
export type Report = readonly { group: string; markdown: string }[]

export function renderReport(
  results: readonly GroupResult[],
  run: { options: BenchOptions; cores: Cores; generator: string },
): Report {
  const capacity = renderCapacity(results)
  const tables = results.map((result) => ({
    group: result.group,
    markdown: [
      `### ${result.title}`,
      result.rows.length === 0 ? '' : renderTable(result.rows, result.bases, result.support),
      renderGoals(result.rows),
      ...result.notes,
      renderCircumstances(result, run),
    ]
      .filter((part) => part !== '')
      .join('\n\n'),
  }))
  return capacity === undefined ? tables : [...tables, { group: 'capacity', markdown: capacity }]
}

/** Replaces, in `docs/benchmarks.md`, what stands between the markers of each group that was measured. */
export async function writeReport(report: Report): Promise<void> {
  let text = await readFile(DOCUMENT, 'utf8')
  for (const { group, markdown } of report) {
    const begin = `<!-- bench:${group} -->`
    const end = `<!-- /bench:${group} -->`
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no ${begin} ... ${end}`)
    text = `${text.slice(0, from + begin.length)}\n\n${markdown}\n\n${text.slice(to)}`
  }
  await writeFile(DOCUMENT, text)
}

function renderCircumstances(
  result: GroupResult,
  { options, cores, generator }: { options: BenchOptions; cores: Cores; generator: string },
): string {
  const cpu = cpus()
  const versions = result.rows.flatMap((row) => (row.version === undefined ? [] : [row.version]))
  const taken = `Taken ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC on ${cpu.length} × ${cpu[0]?.model.trim() ?? 'unknown'},`
  const machine = `${Math.round(totalmem() / 2 ** 30)} GiB, Linux; Node ${process.version}`
  // A group that sends no load has no rounds, and memory does not depend on who shares the cores.
  if (result.rows.length === 0) return `${taken}\n${machine}; one worker.`
  const share = foreignShare(result.rows)
  const pinning =
    cores.served === undefined
      ? 'nothing pinned (no taskset, or one core)'
      : `measured processes on core ${cores.served}, load and upstream on core ${cores.load}`
  return [
    taken,
    `${machine}${[...new Set(versions)].map((text) => `, ${text}`).join('')};`,
    `${result.generator ?? generator}, ${options.connections} connections; ${pinning}; median of ${options.rounds} interleaved rounds of ${options.seconds} s.`,
    share > NOISY_SHARE
      ? `**Noisy**: other processes took ${Math.round(share * 100)}% of the measuring core meanwhile; trust "CPU µs/req" before "req/s".`
      : `Other processes took ${(share * 100).toFixed(1)}% of the measuring core meanwhile.`,
  ].join('\n')
}
