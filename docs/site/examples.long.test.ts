import { createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Tenant, TestPlatform } from '../../test/support/platform.ts'
import { buildSite } from './build.ts'
import { type Examples, examplesOf } from './examples.ts'
import { OPERATIONS, type Operation } from './openapi.ts'
import { WITHOUT_EXAMPLE } from './samples.ts'
import { codeBlocks, ExampleRunner, LANGUAGES, type Language } from './testing/run-example.ts'

/** What the documentation shows is executed as it stands, against the platform that `npm run up` starts. */
let platform: TestPlatform
let directory: string
let runner: ExampleRunner
let neighbour: Server
let shared: Record<string, string>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-docs-'))
  neighbour = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1')
  platform = await TestPlatform.start({ env: { AERODB_WEBHOOK_ALLOW_PRIVATE: '1' } })
  runner = await ExampleRunner.prepare(join(directory, 'reader'))
  const elsewhere = `http://127.0.0.1:${(neighbour.address() as AddressInfo).port}`
  shared = {
    API: urlOf('control'),
    KEY: platform.endpoints.platform_key,
    MONTH: new Date().toISOString().slice(0, 7),
    ENDS_AT: new Date(Date.now() + 3_600_000).toISOString(),
    JWT_SECRET: createHmac('sha256', randomBytes(32)).digest('hex'),
    WEBHOOK_URL: `${elsewhere}/hook`,
    BACKEND_URL: elsewhere,
    SERVER: 'shared-0',
  }
}, 180_000)

afterAll(async () => {
  await platform?.close()
  neighbour?.close()
  await rm(directory, { recursive: true, force: true })
}, 60_000)

function urlOf(host: string): string {
  const { domain, gateway } = platform.endpoints
  return `http://${host}.${domain}:${new URL(gateway).port}`
}

let made = 0
const newTenant = () => platform.createTenant(`reader-${++made}`, { plan: 'pro' })
const post = async (path: string, body: Record<string, unknown>) => {
  const { status, text, json } = await platform.control(path, { body })
  if (status >= 300) throw new Error(`POST ${path} answered ${status}: ${text}`)
  return json as Record<string, string>
}

/** What has to be there before a call that changes or reads one thing; its variables. The rest needs a tenant only. */
const PREPARATIONS: Readonly<Record<string, (tenant: Tenant) => Promise<Record<string, string>>>> = {
  'POST /v1/tenants/{tenant_id}/restore': async ({ tenant_id }) => {
    await platform.control(`/v1/tenants/${tenant_id}`, { method: 'DELETE' })
    return {}
  },
  'GET /v1/tenant-names/{name}': async () => ({ NAME: 'not-taken' }),
  'GET /v1/status/{name}': async ({ tenant_id, name }) => {
    await platform.control(`/v1/tenants/${tenant_id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { public_status: true },
    })
    return { NAME: name }
  },
  'POST /v1/tenants/{tenant_id}/keys/{key_id}/rotate': newKey,
  'DELETE /v1/tenants/{tenant_id}/keys/{key_id}': newKey,
  'GET /v1/tenants/{tenant_id}/export': async (tenant) => {
    const { GRANT_ID } = await newGrant(tenant)
    await platform.call(tenant.name, `/platform/v1/access-grants/${GRANT_ID}/approve`, {
      method: 'POST',
      key: tenant.keys.service,
    })
    return {}
  },
  'GET /v1/operations/{operation_id}': async ({ tenant_id }) => {
    const { json } = await platform.control(`/v1/tenants/${tenant_id}`, { method: 'DELETE' })
    return { OPERATION_ID: json.operation_id }
  },
  'DELETE /v1/platform-keys/{key_id}': async () => ({
    KEY_ID: (await post('/v1/platform-keys', { name: 'for a while', role: 'viewer' })).key_id ?? '',
  }),
  'GET /v1/tenants/{tenant_id}/access-grants/{grant_id}': newGrant,
  'DELETE /v1/tenants/{tenant_id}/access-grants/{grant_id}': newGrant,
  'POST /v1/backends': async () => {
    await platform.control('/v1/backends/postgrest-eu', { method: 'DELETE' })
    return {}
  },
  'DELETE /v1/backends/{backend_id}': async () => ({
    BACKEND_ID: (await post('/v1/backends', { name: `further-${++made}`, url: shared.BACKEND_URL })).backend_id ?? '',
  }),
  'DELETE /v1/webhooks/{webhook_id}': newWebhook,
  'GET /v1/webhooks/{webhook_id}/deliveries': newWebhook,
  'DELETE /v1/maintenance-windows/{window_id}': async () => ({
    WINDOW_ID: (await post('/v1/maintenance-windows', { ends_at: shared.ENDS_AT, reason: 'Disks' })).window_id ?? '',
  }),
  'DELETE /v1/silences/{silence_id}': async () => ({
    SILENCE_ID:
      (await post('/v1/silences', { matcher: { kind: 'quota' }, ends_at: shared.ENDS_AT, reason: 'Known' }))
        .silence_id ?? '',
  }),
  'GET /v1/invoices/{invoice_id}': newInvoice,
  'POST /v1/invoices/{invoice_id}/{act}': newInvoice,
}

/** What has to be put right again for the examples that follow. */
const AFTERWARDS: Readonly<Record<string, () => Promise<unknown>>> = {
  'PATCH /v1/servers/{server}': () =>
    platform.control(`/v1/servers/${shared.SERVER}`, { method: 'PATCH', body: { draining: false } }),
}

async function newKey({ tenant_id }: Tenant): Promise<Record<string, string>> {
  return { KEY_ID: (await post(`/v1/tenants/${tenant_id}/keys`, { kind: 'anon' })).key_id ?? '' }
}

async function newGrant({ tenant_id }: Tenant): Promise<Record<string, string>> {
  const grant = await post(`/v1/tenants/${tenant_id}/access-grants`, { reason: 'Ticket 1', minutes: 5 })
  return { GRANT_ID: grant.grant_id ?? '' }
}

async function newWebhook(): Promise<Record<string, string>> {
  return { WEBHOOK_ID: (await post('/v1/webhooks', { url: shared.WEBHOOK_URL })).webhook_id ?? '' }
}

/** An invoice of October 2026: the tenant is made older than it is. */
async function newInvoice({ tenant_id }: Tenant): Promise<Record<string, string>> {
  const metadata = new pg.Client({ connectionString: platform.endpoints.metadata_database_url })
  await metadata.connect()
  try {
    await metadata.query(`update control.plan_segments set started_at = '2026-10-01' where tenant_id = $1`, [tenant_id])
    await metadata.query(
      `insert into control.plan_history_outbox (tenant_id) values ($1)
       on conflict (tenant_id) do update set version = nextval('control.plan_history_version')`,
      [tenant_id],
    )
  } finally {
    await metadata.end()
  }
  for (let tries = 0; tries < 120; tries++) {
    await platform.control('/v1/invoices/close?month=2026-10', { method: 'POST' })
    const { json } = await platform.control(`/v1/invoices?tenant_id=${tenant_id}`)
    const [invoice] = json.data
    if (invoice !== undefined) return { INVOICE_ID: invoice.invoice_id ?? invoice.id }
    await sleep(500)
  }
  throw new Error('The month was not closed')
}

/** Calls of which one makes way for the next. */
const ALONE: ReadonlySet<string> = new Set(['POST /v1/backends', 'PATCH /v1/servers/{server}'])

const PROGRAMS: Readonly<Record<Language, keyof Examples>> = { sh: 'curl', js: 'javascript', python: 'python' }

test.each(OPERATIONS.filter(({ name }) => !WITHOUT_EXAMPLE.has(name)))(
  'the examples of $name run',
  async (operation) => {
    if (ALONE.has(operation.name)) for (const language of LANGUAGES) await runExample(operation, language)
    else await Promise.all(LANGUAGES.map((language) => runExample(operation, language)))
  },
)

async function runExample(operation: Operation, language: Language): Promise<void> {
  const prepare = PREPARATIONS[operation.name]
  const needsTenant = prepare !== undefined || operation.name.endsWith('/silences')
  const tenant = needsTenant || operation.path.includes('{tenant_id}') ? await newTenant() : undefined
  const prepared = tenant === undefined ? {} : await prepare?.(tenant)
  await runner.run(language, examplesOf(operation)[PROGRAMS[language]], {
    ...shared,
    ...(tenant === undefined ? {} : { TENANT_ID: tenant.tenant_id }),
    ...prepared,
  })
  await AFTERWARDS[operation.name]?.()
}

test.each(['reference/tenant-api.md', 'hosting-guide.md'])(
  'the programs of %s run, one after the other',
  async (page) => {
    const tenant = await platform.createTenant(`page-${++made}`, { plan: 'pro' })
    const blocks = codeBlocks(await readFile(join(import.meta.dirname, '..', page), 'utf8'))
    expect(blocks.length).toBeGreaterThan(4)
    for (const { language, program } of blocks)
      await runner.run(language, program, {
        ...shared,
        TENANT_ID: tenant.tenant_id,
        TENANT_URL: urlOf(tenant.name),
        ANON_KEY: tenant.keys.anon,
        SERVICE_KEY: tenant.keys.service,
      })
  },
)

test('the site builds: every page compiles, and no link leads nowhere', async () => {
  await buildSite(join(directory, 'site'))
  const page = await readFile(join(directory, 'site', 'reference', 'tenants.html'), 'utf8')
  expect(page).toContain('Create a tenant')
}, 120_000)
