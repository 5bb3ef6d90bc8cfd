import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { releaseChangelog, releaseChart } from './changelog.ts'
import { noteReleased } from './released-migrations.ts'

/** npm's `version` script: `npm version <minor>` has set the new version in package.json, and commits and tags after this. */
const root = join(import.meta.dirname, '..')
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
const path = join(root, 'CHANGELOG.md')
const chart = join(root, 'deploy', 'helm', 'aerodb', 'Chart.yaml')
try {
  await writeFile(path, releaseChangelog(await readFile(path, 'utf8'), version, new Date().toISOString().slice(0, 10)))
  await writeFile(chart, releaseChart(await readFile(chart, 'utf8'), version))
  await noteReleased()
} catch (fault) {
  console.error(fault instanceof Error ? fault.message : fault)
  process.exitCode = 1
}
