import { lstat, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import packageFile from '../../package.json' with { type: 'json' }
import { releaseChart } from '../changelog.ts'

const CHART = join(import.meta.dirname, 'aerodb')
const ROOT = join(import.meta.dirname, '..', '..')
const read = (...path: string[]) => readFile(join(...path), 'utf8')
const SERVICES = ['gateway', 'control', 'backend', 'metering'] as const
/** Where each process reads its environment. */
const CONFIGS: Record<(typeof SERVICES)[number], string[]> = {
  gateway: ['gateway/config.ts'],
  control: ['control/config.ts', 'control/provisioners/kubernetes/kubernetes-config.ts'],
  backend: ['backend/config.ts', 'backend/storage/config.ts'],
  metering: ['metering/main.ts'],
}

const values = parse(await read(CHART, 'values.yaml')) as Record<string, unknown>
const schema = JSON.parse(await read(CHART, 'values.schema.json')) as { properties: Record<string, unknown> }
const isValid = new Ajv({ strict: false }).compile(schema)

test('the chart has the version of the platform, and a release sets both', async () => {
  const chart = await read(CHART, 'Chart.yaml')
  expect(parse(chart)).toMatchObject({ version: packageFile.version, appVersion: packageFile.version })
  expect(parse(releaseChart(chart, '7.8.9'))).toMatchObject({ name: 'aerodb', version: '7.8.9', appVersion: '7.8.9' })
})

test('the values are valid, and a setting that does not exist is refused', () => {
  expect(isValid(values), JSON.stringify(isValid.errors)).toBe(true)
  for (const name of Object.keys(schema.properties)) {
    if (name === 'global') continue
    expect(values).toHaveProperty(name)
  }
  expect(isValid({ ...values, gatway: {} })).toBe(false)
  expect(isValid({ ...values, gateway: { replicas: 0 } })).toBe(false)
  expect(isValid({ ...values, gateway: { env: { 'not a name': '1' } } })).toBe(false)
})

test.each(SERVICES)('every variable that the chart sets for %s is one that it reads', async (name) => {
  const template = await read(CHART, 'templates', `${name}.yaml`)
  const known = (await Promise.all(CONFIGS[name].map((file) => read(ROOT, file)))).join('\n')
  const set = [...new Set(template.match(/AERODB_[A-Z0-9_]+/g))]
  expect(set.length).toBeGreaterThan(4)
  for (const variable of set) expect(known).toContain(`${variable}:`)
})

test('rules and dashboards are those of the other deployments: links, not copies', async () => {
  const files = await readdir(join(CHART, 'files'))
  expect(files).toHaveLength(5)
  for (const file of files) {
    expect((await lstat(join(CHART, 'files', file))).isSymbolicLink()).toBe(true)
    expect((await stat(join(CHART, 'files', file))).isFile()).toBe(true)
  }
})
