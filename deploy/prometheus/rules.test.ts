import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { ensurePrometheus } from '../../test/support/prometheus.ts'

type Rule = { alert?: string; record?: string; expr: string; labels?: Record<string, string> }

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const read = (name: string) => readFile(here(name), 'utf8')
let promtool: string
let rules: Rule[]

beforeAll(async () => {
  promtool = await ensurePrometheus('promtool')
  const files = await Promise.all(['alerts.rules.yml', 'recording.rules.yml'].map(read))
  rules = files.flatMap((text) =>
    (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules),
  )
}, 300_000)

const run = (...args: string[]) => promisify(execFile)(promtool, args)

test('promtool accepts the rules and the configuration', async () => {
  await run('check', 'rules', '--lint-fatal', here('alerts.rules.yml'), here('recording.rules.yml'))
  await run('check', 'config', '--syntax-only', here('prometheus.yml'))
})

test('each alert fires when it should and not before (promtool test rules)', async () => {
  const { stdout } = await run('test', 'rules', here('rules.test.yml'))
  expect(stdout).toContain('SUCCESS')
  const cases = await read('rules.test.yml')
  const untested = rules.flatMap(({ alert }) => (alert === undefined || cases.includes(alert) ? [] : [alert]))
  expect(untested).toEqual([])
})

test('each alert has a severity, and a chapter in the guide that says what to do', async () => {
  const guide = await read('../../docs/operations/monitoring.md')
  for (const { alert, labels } of rules) {
    if (alert === undefined) continue
    expect(['critical', 'warning'], alert).toContain(labels?.severity)
    expect(guide, alert).toContain(`\n### ${alert}\n`)
  }
})

test('the codes that count as our faults are codes that exist', async () => {
  const known = await read('../../docs/error-codes.md')
  const codes = rules.flatMap(({ expr }) =>
    [...expr.matchAll(/code=~?"([^"]+)"/g)].flatMap(([, list]) => `${list}`.split('|')),
  )
  expect(new Set(codes).size).toBeGreaterThan(5)
  for (const code of codes) expect(known).toContain(`\`${code}\``)
})
