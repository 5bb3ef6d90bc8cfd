import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TestPlatform } from '../test/support/platform.ts'
import { runCli } from './testing/run-cli.ts'

/** The real command against the whole platform. */
let platform: TestPlatform
let home: string
let env: Record<string, string>

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'aerodb-cli-'))
  platform = await TestPlatform.start({ env: { AERODB_WEBHOOK_ALLOW_PRIVATE: '1' } })
  env = { AERODB_CONTROL_URL: platform.endpoints.control, AERODB_PLATFORM_KEY: platform.endpoints.platform_key }
}, 120_000)
afterAll(async () => {
  await platform?.close()
  await rm(home, { recursive: true, force: true })
})

const run = (line: string, options: Parameters<typeof runCli>[1] = {}) =>
  runCli(line.split(' '), { directory: home, ...options, env: options.env ?? env })

async function runJson(line: string) {
  const { code, out, err } = await run(`${line} --json`)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(out)
}

test('a tenant is made with keys that work, changed, suspended and resumed', async () => {
  const made = await run('tenants create acme --plan pro')
  expect(made.code).toBe(0)
  expect(made.err).toContain('Creating acme: done')
  const key = /service key\s+(aero_service_\w+)/.exec(made.out)?.[1] ?? ''
  expect((await platform.call('acme', '/schema/v1/collections', { key })).status).toBe(200)

  expect((await run('tenants list')).out).toMatch(/^NAME +STATUS .*\nacme +active +pro /)
  expect(
    await runJson('tenants update acme --quota storage_bytes=1.5GB --quota requests_per_second=300'),
  ).toMatchObject({
    quota_overrides: { storage_bytes: 1_500_000_000, requests_per_second: 300 },
  })
  const back = await runJson('tenants update acme --plan enterprise --quota storage_bytes=plan')
  expect(back).toMatchObject({ plan: 'enterprise', quota_overrides: { requests_per_second: 300 } })
  expect(await runJson('tenants suspend acme')).toMatchObject({ status: 'suspended' })
  expect(await runJson('tenants resume acme')).toMatchObject({ status: 'active' })
})

test('the same command under the same Idempotency-Key makes one tenant and shows the same keys', async () => {
  const [first, second] = [
    await runJson('tenants create twice --idempotency-key once-1'),
    await runJson('tenants create twice --idempotency-key once-1'),
  ]
  expect(second.keys).toEqual(first.keys)
  expect(second.tenant_id).toBe(first.tenant_id)
})

test('a move is followed to its end', async () => {
  await runJson('tenants create mover --plan pro')
  const moved = await run('tenants move mover database')
  expect(moved.code).toBe(0)
  expect(moved.err).toContain('Moving mover to database: done')
  expect(moved.out).toMatch(/isolation +database/)
  const { data } = await runJson('operations list --tenant mover --kind move')
  expect(data).toMatchObject([{ tenant_name: 'mover', status: 'succeeded' }])
  expect((await run(`operations wait ${data[0].operation_id}`)).code).toBe(0)
})

test('a tenant is deleted only when that was said; it comes back, and is gone after a purge', async () => {
  await runJson('tenants create goner')
  const refused = await run('tenants delete goner')
  expect(refused).toMatchObject({ code: 2, out: '' })
  expect(await runJson('tenants get goner')).toMatchObject({ status: 'active' })
  expect(await runJson('tenants delete goner --yes')).toMatchObject({ kind: 'delete', status: 'succeeded' })
  expect(await runJson('tenants restore goner')).toMatchObject({ name: 'goner', status: 'active' })
  expect(await runJson('tenants delete goner --purge --yes')).toMatchObject({ kind: 'purge', status: 'succeeded' })
  expect((await run('tenants get goner')).code).toBe(5)
})

test('keys are made, rotated and revoked; only the one just made is ever shown', async () => {
  const made = await runJson('keys create acme --kind anon')
  expect(await runJson(`keys limit acme ${made.key_id} 25`)).toMatchObject({ rate_limit: 25 })
  expect((await run(`keys limit acme ${made.key_id} few`)).code).toBe(2)
  const rotated = await runJson(`keys rotate acme ${made.key_id} --overlap 15m`)
  expect(await runJson(`keys limit acme ${rotated.key_id} none`)).toMatchObject({ rate_limit: null })
  expect(rotated.key).not.toBe(made.key)
  const listed = await run('keys list acme')
  expect(listed.out).toContain(rotated.key_id)
  for (const { key } of [made, rotated]) expect(listed.out).not.toContain(key)
  expect((await run(`keys revoke acme ${rotated.key_id} --yes`)).code).toBe(0)
  expect((await run('keys list acme')).out).not.toMatch(new RegExp(`^${rotated.key_id}`, 'm'))

  const secret = 'a-secret-of-at-least-32-characters-0'
  const set = await run('keys jwt set acme --secret-file - --issuer me', { input: `${secret}\n` })
  expect(set.code).toBe(0)
  expect(set.out + set.err).not.toContain(secret)
  expect(await runJson('keys jwt get acme')).toMatchObject({ has_secret: true, issuer: 'me' })
})

test('usage, series and invoices are read; an invoice becomes a file, and no file is overwritten', async () => {
  expect(await runJson('usage get acme')).toMatchObject({ quotas: { requests_per_second: 300 } })
  expect((await run('usage get acme --resource api_requests')).code).toBe(0)
  const month = new Date().toISOString().slice(0, 7)
  expect(await runJson(`usage series acme --month ${month} --step day`)).toMatchObject({ resource: 'api_requests' })
  const today = new Date().toISOString().slice(0, 10)
  const byStatus = await run(`usage series acme --from ${today} --by-status`)
  expect(byStatus.out).toMatch(new RegExp(`^AT \\(UTC\\) +API_REQUESTS.*\\n${today} `))
  expect((await runJson('usage days')).data.at(-1)).toMatchObject({ at: `${today}T00:00:00.000Z` })
  expect((await run('usage days')).out).toMatch(/^DAY \(UTC\) +REQUESTS /)
  expect((await run('usage days --from yesterday')).code).toBe(2)
  expect((await run('invoices list acme')).out).toContain('draft')
  expect(await runJson(`invoices get acme ${month}`)).toMatchObject({ month, state: 'draft' })
  expect((await run(`invoices get acme ${month} --format csv`)).out).toContain('invoice_total')
  const pdf = `invoices get acme ${month} --format pdf --output acme.pdf`
  expect((await run(pdf)).code).toBe(0)
  expect((await readFile(join(home, 'acme.pdf'))).subarray(0, 5).toString()).toBe('%PDF-')
  expect((await run(pdf)).code).toBe(2)
  expect((await run(`${pdf} --force`)).code).toBe(0)
})

test('a tenant has limits, credits and a name on its invoices; invoices are closed and settled', async () => {
  expect(await runJson('spend limit acme --alert 50 100.5 --cap 150')).toMatchObject({
    alerts_micros: [50_000_000, 100_500_000],
    cap_micros: 150_000_000,
  })
  expect((await run('spend limit acme --none')).out).toMatch(/alerts +none\ncap +none\n$/)
  expect(await runJson('spend get acme')).toMatchObject({ alerts_micros: [], cap_micros: null })
  const credit = 'credits add acme ticket-1 --amount 20 --reason goodwill'
  expect(await runJson(credit)).toEqual(await runJson(credit))
  expect((await run('credits list acme')).out).toMatch(/\nticket-1 +20\.00 +0\.00 /)
  expect(await runJson('customer set acme --name Acme --address Street-1 Town')).toMatchObject({
    address: ['Street-1', 'Town'],
  })
  expect((await run('customer get acme')).out).toBe('name     Acme\naddress  Street-1, Town\n')
  expect((await run('usage ledger acme')).code).toBe(0)
  expect((await run('invoices close --month 2020-01')).out).toBe('2020-01: 0 issued, 0 not.\n')
  expect((await run('invoices pay inv_none')).code).toBe(5)
  expect((await run('invoices get inv_none')).code).toBe(5)
  expect((await run('invoices get acme')).code).toBe(2)
})

test('the platform is looked at: plans, prices, servers, alerts, the audit log', async () => {
  expect((await run('plans', { env: { AERODB_CONTROL_URL: platform.endpoints.control } })).out).toContain('enterprise')
  expect((await runJson('pricing estimate --api-requests 2000000')).data).toHaveLength(3)
  const [{ server }] = (await runJson('servers')).data
  expect(await runJson(`servers drain ${server}`)).toMatchObject({ server, draining: true })
  expect((await run(`servers use ${server}`)).out).toMatch(/ no\n$/)
  expect((await run('servers drain nowhere')).code).toBe(5)
  expect(await runJson('backends create legacy http://127.0.0.1:9 --pipelining 4')).toMatchObject({ pipelining: 4 })
  expect((await run('backends list')).out).toContain('legacy')
  expect((await run('backends delete legacy')).code).toBe(0)
  expect((await run('overview')).out).toMatch(/^tenants +\d+\nby plan +.*\d enterprise/)
  expect((await runJson('revenue --months 1')).data).toMatchObject([{ state: 'open' }])
  expect((await run('revenue')).out).toMatch(/^MONTH +STATE .*\n\d{4}-\d\d +open /)
  expect((await run('upgrades')).out).toMatch(/^objects version +\d+\n/)
  expect((await run('metrics')).out).toContain('# TYPE ')
  expect((await run('isolation-audit get --fresh')).out).toMatch(/^result +no findings\n/)
  expect((await runJson('isolation-audit keys')).keys).toHaveLength(1)
  expect((await run('alerts --status open')).code).toBe(0)
  expect((await runJson('audit-log list --action tenant.create --limit 1')).data).toMatchObject([
    { action: 'tenant.create' },
  ])
  const first = await run('audit-log list --limit 1')
  expect(first.out.split('\n')).toHaveLength(3)
  expect(first.err).toContain('There are more')
  expect((await run('audit-log verify')).out).toBe('chain  intact\n')
})

test('availability is read, a status page opened, and maintenance declared and ended', async () => {
  expect((await run('tenants check-name acme')).code).toBe(3)
  expect(await runJson('tenants check-name acme-two')).toEqual({ name: 'acme-two', available: true, reasons: [] })
  expect((await run('tenants nodes acme')).out).toBe('No nodes: the isolation is schema.\n')
  expect((await run('sla get acme')).out).toMatch(/^month .*\(so far\)\nuptime .*\nNo incidents\.\n$/s)
  const open = { env: { AERODB_CONTROL_URL: platform.endpoints.control } }
  expect((await run('status acme', open)).code).toBe(5)
  // Its server was drained a moment ago: a move that began then comes to its end first.
  await vi.waitFor(async () => expect(await runJson('tenants get acme')).toMatchObject({ status: 'active' }), {
    timeout: 20_000,
    interval: 250,
  })
  expect(await runJson('tenants update acme --status-page open')).toMatchObject({ public_status: true })
  expect((await run('status acme', open)).out).toMatch(/^of +acme\nstatus +/)
  expect((await run('status', open)).code).toBe(0)

  expect((await run('maintenance declare acme --reason work')).code).toBe(2)
  const window = await runJson('maintenance declare acme --reason work --for 2h')
  expect(Date.parse(window.ends_at) - Date.parse(window.starts_at)).toBeGreaterThan(7_190_000)
  expect((await run('maintenance list --tenant acme')).out).toContain(`${window.window_id}  running`)
  expect((await run(`maintenance end ${window.window_id}`)).code).toBe(0)
  expect((await runJson('maintenance list')).data).toMatchObject([{ state: 'over' }])
})

test("a tenant's data is exported once the tenant has approved, and only then", async () => {
  const refused = await run('tenants export acme')
  expect(refused.code).toBe(4)
  expect(refused.err).toContain('aerodb access-grants request')
  const grant = await runJson('access-grants request acme --reason audit --for 90s')
  expect(grant).toMatchObject({ status: 'pending', minutes: 2, access: 'read' })
  const { key } = await runJson('keys create acme --kind service')
  const approve = `/platform/v1/access-grants/${grant.grant_id}/approve`
  expect((await platform.call('acme', approve, { method: 'POST', key })).status).toBe(200)
  expect((await run('tenants export acme --output acme.sql')).code).toBe(0)
  expect(await readFile(join(home, 'acme.sql'), 'utf8')).toMatch(/-- The dump is complete\.\n$/)
  expect((await run(`access-grants get acme ${grant.grant_id}`)).out).toMatch(/status +approved.+uses +1, last at/s)
  expect((await run(`access-grants end acme ${grant.grant_id}`)).code).toBe(0)
  expect((await run('access-grants list acme')).out).toMatch(/ ended +read /)
})

test('silences, webhooks and platform keys are made, listed and ended', async () => {
  const silence = await runJson('silences create --tenant acme --reason test --for 1h')
  expect((await run('silences list')).out).toContain(`tenant_id=${silence.matcher.tenant_id}`)
  expect((await run(`silences end ${silence.silence_id}`)).code).toBe(0)

  const hook = await runJson('webhooks create http://127.0.0.1:9/hook --events alert.opened alert.resolved')
  expect(hook.secret).toMatch(/^whsec_/)
  const listed = await run('webhooks list')
  expect(listed.out).toContain('alert.opened, alert.resolved')
  expect(listed.out).not.toContain(hook.secret)
  expect((await run(`webhooks deliveries ${hook.webhook_id}`)).code).toBe(0)
  expect((await run(`webhooks delete ${hook.webhook_id}`)).code).toBe(2)
  expect((await run(`webhooks delete ${hook.webhook_id} --yes`)).code).toBe(0)

  const made = await runJson('platform-keys create ci --role viewer --expires 2099-01-01T00:00Z')
  const viewer = { env: { ...env, AERODB_PLATFORM_KEY: made.key } }
  expect((await run('platform-keys list', viewer)).code).toBe(5)
  expect((await run('platform-keys list')).out).toMatch(/ ci +viewer /)
  expect((await run(`platform-keys revoke ${made.key_id} --yes`)).code).toBe(0)
  expect((await run('tenants list', viewer)).code).toBe(4)
})

test('a refusal names field, rule, code and request, and the exit code tells its kind', async () => {
  const invalid = await run('tenants create A_')
  expect(invalid).toMatchObject({ code: 3, out: '' })
  expect(invalid.err).toMatch(
    / {2}name: must have at least 3 characters\n.*code validation_failed, status 400, request /s,
  )
  expect(JSON.parse((await run('tenants create acme --json')).err)).toMatchObject({ code: 'name_taken', status: 409 })
  expect((await run('tenants list', { env: { ...env, AERODB_PLATFORM_KEY: 'aero_platform_wrong' } })).code).toBe(4)
  expect((await run('operations get op_none')).code).toBe(5)
  expect((await run('tenants lsit')).err).toContain('Did you mean list?')
})

test('login stores a key that only its owner can read; the profile is used, listed without the key, and forgotten', async () => {
  const profile = { XDG_CONFIG_HOME: home }
  const { platform_key: key, control } = platform.endpoints
  expect((await run(`login --url ${control}`, { env: profile, input: 'aero_platform_wrong' })).code).toBe(4)
  const login = await run(`login --url ${control} --name work`, { env: profile, input: `${key}\n` })
  expect(login.code).toBe(0)
  const file = join(home, 'aerodb', 'profiles.json')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await run('whoami', { env: profile })).out).toMatch(/role +owner/)
  const listed = await run('profiles list', { env: profile })
  expect(listed.out).toContain('work')
  for (const { out, err } of [login, listed]) expect(out + err).not.toContain(key)
  expect((await run('logout', { env: profile })).code).toBe(0)
  expect(await readFile(file, 'utf8')).not.toContain(key)
})

test('where nobody has signed in, the local platform of the folder is used, and that is said', async () => {
  const local = { XDG_CONFIG_HOME: home, AERODB_DATA_DIR: platform.directory }
  const found = await run('tenants list', { env: local })
  expect(found.code).toBe(0)
  expect(found.err).toContain('Using the local platform')
  expect((await run('tenants list', { env: { XDG_CONFIG_HOME: home } })).code).toBe(4)
})
