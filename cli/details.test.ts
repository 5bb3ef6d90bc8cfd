import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { runCli } from './testing/run-cli.ts'
import { type Step, type StubPlatform, startStubPlatform } from './testing/stub-platform.ts'

/** What a small real platform does not have to show: nodes, incidents, a dump that breaks off. */
let platform: StubPlatform | undefined
afterEach(async () => {
  await platform?.stop()
  platform = undefined
})

async function show(line: string, steps: readonly [Step, ...Step[]], directory?: string) {
  platform = await startStubPlatform(steps)
  return runCli(line.split(' '), { env: platform.env, ...(directory !== undefined && { directory }) })
}
const tenant: Step = { status: 200, body: { tenant_id: 'ten_1', name: 'acme', isolation: 'cluster' } }

test('the nodes of a cluster are shown with role and lag', async () => {
  const data = [
    { node: 1, role: 'primary', state: 'serving', is_in_quorum: false, lag_bytes: null, lag_seconds: null },
    { node: 2, role: 'standby', state: 'catching_up', is_in_quorum: true, lag_bytes: 2_500_000, lag_seconds: 75 },
  ]
  const { code, out } = await show('tenants nodes ten_1', [tenant, { status: 200, body: { data, next_cursor: null } }])
  expect(code).toBe(0)
  expect(out.split('\n').slice(1)).toEqual([
    '   1  primary  serving      no           -           -',
    '   2  standby  catching_up  yes     2.5 MB  1 min 15 s',
    '',
  ])
})

test('an uptime is never rounded up, and incidents stand below the verdict', async () => {
  const report = {
    month: '2026-10',
    final: true,
    uptime: 0.999999,
    uptime_percent: '99.9999',
    downtime_seconds: 3,
    maintenance_downtime_seconds: 60,
    unobserved_seconds: 0,
    target: { plan: 'pro', uptime: 0.9999999, allowed_downtime_seconds: 0.3 },
    met: false,
    incidents: [{ cause: 'gateway', detail: 'refused', started_at: 'begin', ended_at: null, downtime_seconds: 3 }],
    credit: { currency: 'USD', amount_micros: 2_500_000, percent: 10, status: 'handed_over' },
  }
  const { out } = await show('sla get ten_1 --month 2026-10', [tenant, { status: 200, body: report }])
  expect(out).toContain('promised        99.9999 % (pro)\nmet             no\ndowntime        3 s of 0 s allowed\n')
  expect(out).toContain('credit          $2.50 (10 %, handed over)\n')
  expect(out).toMatch(/\nbegin +goes on +3 s +gateway +refused\n$/)
})

test('a dump that was cut off leaves no file, and says so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-cli-'))
  try {
    const dump: Step = { status: 200, headers: { 'content-type': 'application/sql' }, body: 'half' }
    const run = await show('tenants export ten_1 --output acme.sql', [tenant, dump], directory)
    expect(run).toMatchObject({ code: 6, out: '' })
    expect(run.err).toContain('The export was cut off.')
    expect(await readdir(directory)).toEqual([])
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('a credit note is asked for in millionths; a void wants to be confirmed', async () => {
  const note = {
    invoice_id: 'inv_2',
    number: 'CN-1',
    month: '2026-10',
    state: 'issued',
    currency: 'USD',
    total: '-12.50',
  }
  const line = 'invoices credit inv_1 --amount 12.50 --reason outage'
  const { code, out } = await show(line, [{ status: 201, body: note }])
  expect(code).toBe(0)
  expect(out).toMatch(/\n2026-10 +CN-1 +issued +-12\.50 USD +inv_2\n$/)
  expect(platform?.asked).toMatchObject([{ method: 'POST', url: '/v1/invoices/inv_1/credit-notes' }])
  expect(JSON.parse(platform?.asked[0]?.body ?? '')).toEqual({ reason: 'outage', amount_micros: 12_500_000 })
  const unsure = await runCli(['invoices', 'void', 'inv_1', '--reason', 'x'], { env: platform?.env ?? {} })
  expect(unsure.code).toBe(2)
  expect(platform?.asked).toHaveLength(1)
})
