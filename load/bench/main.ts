import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chooseCores } from './cores.ts'
import { chooseGenerator } from './generators/choose.ts'
import type { GroupResult } from './group.ts'
import { GROUPS } from './groups.ts'
import { readOptions } from './options.ts'
import { stopAllProcesses } from './pinned-process.ts'
import { renderProfile } from './profile.ts'
import { renderReport, writeReport } from './report.ts'

/** `npm run bench`: measures everything that `--only` names, prints the tables, and leaves nothing behind. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  const groups = GROUPS.map((group) => ({
    ...group,
    yardsticks: group.yardsticks.filter(
      ({ name }) => options.only.length === 0 || options.only.includes(name) || options.only.includes(group.name),
    ),
  })).filter((group) => group.yardsticks.length > 0)
  if (options.list) {
    for (const group of groups)
      for (const { name, title } of group.yardsticks) console.log(`${group.name.padEnd(8)} ${name.padEnd(22)} ${title}`)
    return
  }
  if (groups.length === 0) throw new Error(`Nothing is called ${options.only.join(', ')}: see --list`)
  const cores = await chooseCores()
  const generator = await chooseGenerator()
  const scratch = await mkdtemp(join(tmpdir(), 'aerodb-bench-'))
  const onProgress = (text: string) => console.error(text)
  try {
    const results: GroupResult[] = []
    for (const group of groups)
      results.push(
        await group.run(new Set(group.yardsticks.map(({ name }) => name)), {
          options,
          cores,
          generator,
          scratch,
          onProgress,
        }),
      )
    const report = renderReport(results, { options, cores, generator: generator.name })
    for (const { markdown } of report) console.log(`\n${markdown}`)
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`)
    if (options.profile !== undefined) console.log(`\n${await renderProfile(options.profile)}`)
    if (options.write) await writeReport(report)
  } finally {
    await stopAllProcesses()
    await rm(scratch, { recursive: true, force: true })
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAllProcesses().finally(() => process.exit(130)))

main().catch((fault: Error) => {
  console.error(fault.message)
  process.exitCode = 1
})
