import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Advisory, readAdvisories } from './advisories.ts'

/**
 * `npm run audit:dependencies`, also in CI: 1 where a package that we depend on has a known hole of severity high or critical which
 * `.ci/accepted-advisories` does not name. A registry that tells of none (a mirror without the endpoint, no network) stops nothing.
 */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const TIMEOUT_MS = 60_000

const { stdout } = spawnSync('npm', ['audit', '--json'], {
  cwd: ROOT,
  encoding: 'utf8',
  timeout: TIMEOUT_MS,
  stdio: ['ignore', 'pipe', 'ignore'],
  maxBuffer: 64_000_000,
  env: { ...process.env, npm_config_audit: 'true' },
})
const report = readAdvisories(stdout ?? '', readFileSync(join(ROOT, '.ci/accepted-advisories'), 'utf8'))
if ('unavailable' in report) {
  // The first line: what follows may name addresses.
  console.log(
    `Advisories could not be asked for (${report.unavailable.split('\n')[0]?.replace(/\s*https?:\S+/g, '')}).`,
  )
} else {
  const print = (kind: string, advisories: readonly Advisory[]) => {
    for (const { package: name, range, severity, title, url } of advisories)
      console.log(`${kind}  ${severity}  ${name} ${range}: ${title} ${url}`)
  }
  print('open', report.stopping)
  print('noted', report.others)
  print('accepted', report.accepted)
  const counts = `${report.stopping.length} open, ${report.others.length} noted, ${report.accepted.length} accepted`
  console.log(`Advisories of what we depend on: ${counts}.`)
  if (report.stopping.length > 0) process.exitCode = 1
}
process.disconnect?.()
