import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { TestPlatform } from '../support/platform.ts'
import { startPrometheus, type TestPrometheus } from '../support/prometheus.ts'

type ScrapeConfig = { job_name: string; authorization?: { credentials_file: string }; static_configs: unknown }
type Sample = { metric: Record<string, string>; value: [number, string] }

const DEPLOY = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'deploy')
const DASHBOARDS = join(DEPLOY, 'grafana', 'dashboards')
const RULES = ['alerts.rules.yml', 'recording.rules.yml'].map((name) => join(DEPLOY, 'prometheus', name))
let platform: TestPlatform
let prometheus: TestPrometheus

/** Scrapes the platform just as deploy/prometheus/prometheus.yml says, but for the addresses and the pace. */
beforeAll(async () => {
  platform = await TestPlatform.start()
  const key = await platform.control('/v1/platform-keys', { body: { name: 'prometheus', role: 'viewer' } })
  const keyFile = join(platform.directory, 'monitoring-key')
  await writeFile(keyFile, key.json.key)
  const config = parse(await readFile(join(DEPLOY, 'prometheus', 'prometheus.yml'), 'utf8')) as {
    scrape_configs: ScrapeConfig[]
  }
  const { admin, control, metering, backend } = platform.endpoints
  const targets: Record<string, string> = {
    'aerodb-gateway': admin,
    'aerodb-control': control,
    'aerodb-metering': metering,
    'aerodb-backend': backend,
  }
  prometheus = await startPrometheus({
    ...config,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: RULES,
    scrape_configs: config.scrape_configs.map((job) => ({
      ...job,
      ...(job.authorization === undefined ? {} : { authorization: { credentials_file: keyFile } }),
      static_configs: [{ targets: [new URL(`${targets[job.job_name]}`).host] }],
    })),
  })
}, 300_000)

afterAll(async () => {
  await prometheus?.stop()
  await rm(join(platform?.directory ?? '', 'monitoring-key'), { force: true })
  await platform?.close()
})

const query = async (expr: string) => ((await prometheus.ask('query', { query: expr })) as { result: Sample[] }).result
const valueAt = async (expr: string) => Number((await query(expr))[0]?.value[1])

async function readDashboardQueries(): Promise<string[]> {
  const names = await readdir(DASHBOARDS)
  expect(names.length).toBeGreaterThan(2)
  const texts = await Promise.all(names.map((name) => readFile(join(DASHBOARDS, name), 'utf8')))
  return texts.flatMap((text) => {
    const dashboard = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] }
    return dashboard.panels.flatMap(({ targets }) =>
      targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m')),
    )
  })
}

async function readRules(): Promise<{ record?: string; expr: string }[]> {
  const texts = await Promise.all(RULES.map((file) => readFile(file, 'utf8')))
  return texts.flatMap((text) =>
    (parse(text) as { groups: { rules: { record?: string; expr: string }[] }[] }).groups.flatMap(({ rules }) => rules),
  )
}

const WORDS = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'bool', 'offset'])

/** The names of the metrics that an expression reads: no label, no function, no word of the language. */
function metricsIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\b\d[\w.]*/g, ' ')
  return [...bare.matchAll(/[A-Za-z_][\w:]*(?!\s*\(|[\w:])/g)].map(([name]) => name).filter((name) => !WORDS.has(name))
}

test('what an expression reads is found', () => {
  expect(metricsIn('sum by (le) (rate(a_bucket{x="y"}[5m])) / (r:s > 0) or vector(0) > 14.4 * 0.001')).toEqual([
    'a_bucket',
    'r:s',
  ])
})

test('every metric that a rule or a dashboard reads is exported by a running platform', async () => {
  const tenant = await platform.createTenant('watched')
  await platform.createTodos(tenant)
  expect((await platform.call('watched', '/rest/v1/todos', { key: tenant.keys.service })).status).toBe(200)
  expect((await platform.call('watched', '/rest/v1/todos', { key: 'aero_anon_wrong' })).status).toBe(401)
  await expect.poll(() => valueAt('sum(up)'), { timeout: 20_000 }).toBe(4)
  await expect.poll(() => valueAt('sum(aerodb_metering_requests_total) > 0'), { timeout: 20_000 }).toBeGreaterThan(0)
  const rules = await readRules()
  const queries = [...(await readDashboardQueries()), ...rules.map(({ expr }) => expr)]
  for (const expr of queries) await query(expr)
  const read = [...new Set(queries.flatMap(metricsIn))].sort()
  expect(read.length).toBeGreaterThan(25)
  const recorded = new Set(rules.flatMap(({ record }) => (record === undefined ? [] : [record])))
  await expect
    .poll(
      async () => {
        const exported = new Set((await prometheus.ask('label/__name__/values')) as string[])
        return read.filter((name) => !exported.has(name) && !recorded.has(name))
      },
      { timeout: 20_000, interval: 500 },
    )
    .toEqual([])
})

test('a platform that is well has all partitions held, no usage lost, and raises no alert that does not wait', async () => {
  expect(await valueAt('sum(aerodb_metering_partitions)')).toBe(4)
  expect(await valueAt('sum(aerodb_spool_records_lost_total)')).toBe(0)
  expect(await valueAt('max(aerodb_metering_oldest_entry_age_seconds)')).toBeLessThan(60)
  expect(await query('ALERTS{alertstate="firing"}')).toEqual([])
})

test('no label names a tenant, and a tenant cannot read what its backend measures', async () => {
  const labels = (await prometheus.ask('labels')) as string[]
  for (const label of labels) {
    const values = (await prometheus.ask(`label/${label}/values`)) as string[]
    expect(values.filter((value) => /watched|ten_/.test(value))).toEqual([])
  }
  const tenant = await platform.createTenant('curious')
  const answer = await platform.call('curious', '/metrics', { key: tenant.keys.service })
  expect(answer.status).toBe(404)
  expect(answer.text).not.toContain('aerodb_')
})
