import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Scenario, ScenarioResult } from './scenario.ts'

const FOLDER = fileURLToPath(new URL('./reports/', import.meta.url))

/** Renders a scenario's result as Markdown. */
export function renderScenario(scenario: Scenario, result: ScenarioResult, takenAt: Date): string {
  const cpu = cpus()
  const verdicts = result.verdicts.map((v) => `| ${v.promise} | ${v.measured} | ${v.held ? 'held' : '**broken**'} |`)
  const figures = result.figures.map(([name, value]) => `| ${name} | ${value} |`)
  return [
    `# ${scenario.name}: ${scenario.title}`,
    `Taken ${takenAt.toISOString()} on ${cpu.length} × ${cpu[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.version}; k6, the platform and its databases on the one machine.`,
    ['| promise | measured | |', '| --- | ---: | --- |', ...verdicts].join('\n'),
    ['| figure | |', '| --- | ---: |', ...figures].join('\n'),
    ...(result.notes ?? []),
  ].join('\n\n')
}

/** Writes it to `load/reports/<scenario>.md`; returns the path. */
export async function writeScenarioReport(scenario: Scenario, markdown: string): Promise<string> {
  await mkdir(FOLDER, { recursive: true })
  const file = join(FOLDER, `${scenario.name}.md`)
  await writeFile(file, `${markdown}\n`)
  return file
}
