import { afterEach, expect, test } from 'vitest'
import { runCli } from './testing/run-cli.ts'
import { type Step, type StubPlatform, startStubPlatform } from './testing/stub-platform.ts'

const OPERATION = {
  operation_id: 'op_1',
  tenant_id: 'ten_1',
  kind: 'move',
  status: 'running',
  step: 'copy',
  created_at: '2026-11-26T00:00:00Z',
  deadline_at: '2026-11-26T01:00:00Z',
  finished_at: null,
}
const running: Step = { status: 200, body: OPERATION }
let platform: StubPlatform | undefined
afterEach(async () => {
  await platform?.stop()
  platform = undefined
})

test('an operation that failed ends the wait with 7 and says why', async () => {
  const error = { code: 'copy_failed', detail: 'The copy differs.' }
  platform = await startStubPlatform([running, { status: 200, body: { ...OPERATION, status: 'failed', error } }])
  const run = await runCli(['operations', 'wait', 'op_1'], { env: platform.env })
  expect(run).toMatchObject({ code: 7, out: '' })
  expect(run.err).toContain('error: The copy differs.\n(operation op_1, code copy_failed)')
})

test('a time that is over ends the wait with 8, and says how to go on', async () => {
  platform = await startStubPlatform([running])
  const run = await runCli(['operations', 'wait', 'op_1', '--timeout', '1'], { env: platform.env })
  expect(run.code).toBe(8)
  expect(run.err).toContain('aerodb operations wait op_1')
})

test('a platform that is away in between is waited for', async () => {
  const succeeded: Step = { status: 200, body: { ...OPERATION, status: 'succeeded', step: null } }
  platform = await startStubPlatform([running, { status: 500 }, 'cut off', 'cut off', 'cut off', succeeded])
  const run = await runCli(['operations', 'wait', 'op_1'], { env: platform.env })
  expect(run.code).toBe(0)
  expect(run.err).toContain('the platform is away')
})

test('who interrupts a create is told that it goes on, and has its keys', async () => {
  const keys = { anon: 'aero_anon_x', service: 'aero_service_y' }
  platform = await startStubPlatform([{ status: 202, body: { ...OPERATION, keys } }, running])
  const { asked, env } = platform
  const run = await runCli(['tenants', 'create', 'acme'], {
    env,
    onSpawn: (pid) => {
      const timer = setInterval(() => {
        if (asked.length < 2) return
        clearInterval(timer)
        process.kill(pid, 'SIGINT')
      }, 20)
    },
  })
  expect(run.code).toBe(130)
  expect(run.err).toContain('It goes on without us: aerodb operations wait op_1')
  expect(run.out).toContain(keys.service)
})
