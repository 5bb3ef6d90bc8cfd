import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installDebianPackages } from '../../runtime/debian-packages.ts'
import { findProgram } from '../../runtime/programs.ts'

const SERVICES = ['gateway', 'control', 'metering', 'backend']
const UNITS = [...SERVICES, 'backup']
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
let directory: string
let analyze: string

/** The unit as it would be on a machine whose /opt/aerodb is this repository, and which has the user. */
async function placeUnit(service: string): Promise<string> {
  const text = await readFile(join(ROOT, 'deploy', 'systemd', `aerodb-${service}.service`), 'utf8')
  const file = join(directory, `aerodb-${service}.service`)
  await writeFile(
    file,
    text
      .replaceAll('/opt/aerodb/node_modules/.bin/node', process.execPath)
      .replaceAll('/opt/aerodb', ROOT.replace(/\/$/, ''))
      .replaceAll('=aerodb\n', '=nobody\n')
      .replace('Group=nobody', 'Group=nogroup'),
  )
  return file
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-units-'))
  if ((await findProgram('systemd-analyze')) === undefined) await installDebianPackages(['systemd'])
  analyze = (await findProgram('systemd-analyze')) ?? ''
  expect(analyze, "the tests need Debian's package systemd").not.toBe('')
  for (const service of UNITS) await placeUnit(service)
  const timer = 'aerodb-backup.timer'
  await copyFile(join(ROOT, 'deploy', 'systemd', timer), join(directory, timer))
}, 300_000)
afterAll(() => rm(directory, { recursive: true, force: true }))

test.each([...UNITS.map((unit) => `${unit}.service`), 'backup.timer'])(
  'systemd accepts the unit of %s without a warning',
  async (unit) => {
    const { stdout, stderr } = await promisify(execFile)(
      analyze,
      ['verify', '--man=no', '--recursive-errors=no', join(directory, `aerodb-${unit}`)],
      { env: { ...process.env, SYSTEMD_LOG_LEVEL: 'warning', SYSTEMD_UNIT_PATH: `${directory}:` } },
    )
    expect(`${stdout}${stderr}`).toBe('')
  },
)

test.each(UNITS)('%s is shut in: exposure at most 3 of 10 by systemd-analyze security', async (service) => {
  const file = join(directory, `aerodb-${service}.service`)
  await promisify(execFile)(analyze, ['security', '--offline=yes', '--threshold=30', '--no-pager', file])
})

test.each(SERVICES)(
  'the unit of %s starts a program that is there, and waits longer than it drains',
  async (service) => {
    const text = await readFile(join(ROOT, 'deploy', 'systemd', `aerodb-${service}.service`), 'utf8')
    expect(text).toContain(`/node ${service}/main.ts\n`)
    await readFile(join(ROOT, service, 'main.ts'))
    const graceMs = Number(
      (await readFile(join(ROOT, 'runtime', 'lifecycle.ts'), 'utf8'))
        .match(/graceMs \?\? ([\d_]+)/)?.[1]
        ?.replaceAll('_', ''),
    )
    expect(Number(text.match(/TimeoutStopSec=(\d+)/)?.[1]) * 1_000).toBeGreaterThan(graceMs)
  },
)

test('the timer of backups starts a unit whose program is there', async () => {
  const text = await readFile(join(ROOT, 'deploy', 'systemd', 'aerodb-backup.service'), 'utf8')
  const program = text.match(/^ExecStart=\S+ (\S+)/m)?.[1] ?? ''
  await readFile(join(ROOT, program))
})
