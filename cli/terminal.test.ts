import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { STUB_KEY, type StubPlatform, startStubPlatform } from './testing/stub-platform.ts'

const TENANT = { tenant_id: 'ten_1', name: 'acme' }
let platform: StubPlatform | undefined
afterEach(async () => {
  await platform?.stop()
  platform = undefined
})

/** Runs the command at a terminal (`script`, of Debian's bsdutils) and types `typed` once `prompt` is there. */
async function runAtTerminal(args: string, prompt: string, typed: string, env: Record<string, string>) {
  const command = `stty cols 80 rows 24; '${process.execPath}' '${join(import.meta.dirname, 'main.ts')}' ${args}`
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: { PATH: process.env.PATH, ...env } })
  let shown = ''
  let isTyped = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    if (isTyped || !shown.includes(prompt)) return
    isTyped = true
    child.stdin.write(`${typed}\r`)
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { code, shown }
}

test('a key that is typed at the terminal is not shown by it', async () => {
  platform = await startStubPlatform([
    { status: 200, body: { name: 'me', role: 'viewer', key_id: 'pkey_1', rights: {} } },
  ])
  const home = await mkdtemp(join(tmpdir(), 'aerodb-cli-'))
  const login = `login --url ${platform.env.AERODB_CONTROL_URL}`
  const { code, shown } = await runAtTerminal(login, 'Platform key: ', STUB_KEY, { XDG_CONFIG_HOME: home })
  await rm(home, { recursive: true })
  expect(code).toBe(0)
  expect(shown).toContain('viewer')
  expect(shown).not.toContain(STUB_KEY)
  expect(platform.asked[0]?.headers.authorization).toBe(`Bearer ${STUB_KEY}`)
})

test('a deletion asks for the name, tells the platform, and does nothing on another answer', async () => {
  platform = await startStubPlatform([{ status: 200, body: { data: [TENANT], next_cursor: null } }])
  const { code, shown } = await runAtTerminal('tenants delete acme', 'to go on: ', 'acm', platform.env)
  expect(code).toBe(2)
  expect(shown).toContain(`This deletes acme (${platform.env.AERODB_CONTROL_URL})`)
  expect(platform.asked.map(({ method }) => method)).toEqual(['GET'])
})
