import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBrowser } from '../support/browser.ts'
import { type Tenant, TestPlatform } from '../support/platform.ts'

let platform: TestPlatform
let browser: Browser
let page: Page
let tenant: Tenant
const complaints: string[] = []
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

beforeAll(async () => {
  ;[platform, browser] = await Promise.all([TestPlatform.start(), startBrowser()])
  tenant = await platform.createTenant('shown', { plan: 'pro' })
  await platform.createTenant('other', { plan: 'free' })
  await platform.createTodos(tenant)
  for (let i = 0; i < 4; i++) await platform.call('shown', '/rest/v1/todos', { key: tenant.keys.service })
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(10_000)
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (fault) => complaints.push(String(fault)))
  await page.goto(`${platform.endpoints.gateway.replace('127.0.0.1', `control.${platform.endpoints.domain}`)}/`)
  // Installing a browser takes its time.
}, 600_000)
afterAll(async () => {
  await browser?.close()
  await platform?.close()
})

test('prices are for everybody: what a usage costs on each plan, reckoned by the platform', async () => {
  await page.getByRole('link', { name: 'Pricing' }).click()
  const pro = page.getByRole('region', { name: 'Pro' })
  await pro.getByText('Fits').waitFor()
  const before = await pro.getByText(/\$[\d.,]+ a month/).textContent()
  const requests = page.getByRole('slider', { name: 'API requests a month' })
  await requests.focus()
  for (let i = 0; i < 40; i++) await page.keyboard.press('ArrowRight')
  await page
    .getByRole('region', { name: 'Free' })
    .getByText(/Too much for it: .*requests/)
    .waitFor()
  await expect.poll(() => pro.getByText(/\$[\d.,]+ a month/).textContent()).not.toBe(before)
  await page.getByText('Cluster', { exact: true }).click()
  await pro.getByText('Has no cluster isolation').waitFor()
  await expectAccessible()
  await page.getByRole('link', { name: 'Sign in' }).click()
})

test('who has no platform key does not get in; who has one is signed in without the page ever holding it', async () => {
  await page.getByLabel('Platform key').fill('aerodb_platform_nonsense')
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByText('This key opens nothing').waitFor()
  // The refusal that was asked for.
  complaints.splice(0)
  await page.getByLabel('Platform key').fill(platform.endpoints.platform_key)
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(await page.evaluate('JSON.stringify(localStorage) + JSON.stringify(sessionStorage)')).not.toContain(
    platform.endpoints.platform_key,
  )
  await expectAccessible()
})

test('the overview tells of tenants, requests, revenue and servers', async () => {
  await expect.poll(() => page.getByText('2 active').count(), { timeout: 15_000 }).toBe(1)
  const byPlan = page.locator('.mantine-Paper-root').filter({ hasText: 'Tenants by plan' })
  await byPlan.getByText('Pro').waitFor()
  await page.getByText(/, so far$/).waitFor()
  await page.getByText('shared-0').waitFor()
  await expect.poll(() => page.locator('.recharts-area-area').count(), { timeout: 20_000 }).toBeGreaterThan(1)
  await page.getByText('0% failed through a fault of the platform').waitFor()
  await expectAccessible()
})

test('tenants are found by name and plan', async () => {
  await page.getByRole('link', { name: 'Tenants', exact: true }).first().click()
  await page.getByRole('link', { name: 'shown' }).waitFor()
  await page.getByLabel('Search by name').fill('sho')
  await page.getByRole('link', { name: 'other' }).waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'shown' }).waitFor()
  await page.getByRole('button', { name: 'Clear the search' }).click()
  await page.getByRole('link', { name: 'other' }).waitFor()
  await page
    .getByRole('combobox', { name: 'Plan' })
    .or(page.getByLabel('Plan', { exact: true }))
    .first()
    .click()
  await page.getByRole('option', { name: 'Free' }).click()
  await page.getByRole('link', { name: 'shown' }).waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'other' }).waitFor()
  await page.goto(`${new URL(page.url()).origin}/tenants`)
})

test('a tenant shows what it uses; its quotas are edited, and whoever saves second is told', async () => {
  await page.getByRole('link', { name: 'shown' }).click()
  await page.getByRole('heading', { name: 'Quotas' }).waitFor()
  await page.getByText('5 of 1,000,000').waitFor()
  await page.getByText(/^999,995 left/).waitFor()
  await page.getByRole('button', { name: 'Edit quotas' }).click()
  await page.getByLabel('Requests a second').fill('77')
  const path = `/v1/tenants/${tenant.tenant_id}`
  await platform.control(path, { method: 'PATCH', body: { quotas: { realtime_connections: 5 } } })
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Somebody else has saved first').waitFor()
  complaints.splice(0)
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByText('Somebody else has saved first').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  expect((await platform.control(path)).json.quotas).toMatchObject({
    requests_per_second: 77,
    realtime_connections: 5,
  })
  await expectAccessible()
})

test('charts draw the requests of the month, and give them as figures', async () => {
  const requests = async () => (await platform.usage(tenant)).json.resources.api_requests.total
  await expect.poll(requests, { timeout: 10_000 }).toBe(5)
  await page.reload()
  await page.locator('.recharts-area-area').first().waitFor()
  await page.getByText('Table', { exact: true }).click()
  const figures = page.getByRole('region', { name: 'API requests, figures' })
  await figures.getByRole('cell', { name: '5', exact: true }).waitFor()
  await page.getByText('Chart', { exact: true }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'API requests as CSV' }).click()
  const file = await download
  expect(file.suggestedFilename()).toMatch(/^api_requests-\d{4}-\d{2}-\d{2}-\d{4}-\d{2}-\d{2}\.csv$/)
  expect(await readFile((await file.path()) ?? '', 'utf8')).toMatch(/^from,2xx\r\n\d{4}-\d{2}-\d{2}T[^,]+,\d+\r\n/)
})

test('a plan is changed with its price in sight', async () => {
  await page.getByRole('button', { name: 'Change plan' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Plan', { exact: true }).first().click()
  await page.getByRole('option', { name: 'Enterprise' }).click()
  await dialog.getByText(/rises by .* a month/).waitFor()
  await dialog.getByRole('button', { name: 'Change the plan' }).click()
  await dialog.waitFor({ state: 'detached' })
  expect((await platform.control(`/v1/tenants/${tenant.tenant_id}`)).json.plan).toBe('enterprise')
})

test('keys are made and shown once, rotated with an overlap, and revoked', async () => {
  const read = async (key: string) => (await platform.call('shown', '/rest/v1/todos', { key })).status
  await openTab('Keys')
  await page.getByRole('button', { name: 'New service key' }).click()
  const first = await page.getByLabel('The service key', { exact: true }).inputValue()
  await page.getByRole('button', { name: 'Done' }).click()
  await expect.poll(() => read(first)).toBe(200)
  const row = page.getByRole('row').filter({ hasText: first.slice(0, 'aero_service_'.length + 4) })
  await row.getByRole('button', { name: /Limit/ }).click()
  await page.getByLabel('Requests per second', { exact: true }).fill('7')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await row.getByText('7', { exact: true }).waitFor()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  const policy = async () =>
    (await platform.call('shown', '/rest/v1/todos', { key: first })).headers['ratelimit-policy']
  await expect.poll(policy).toContain('"key";q=7;w=1')
  await row.getByRole('button', { name: /Rotate/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
  const second = await page.getByLabel('The service key', { exact: true }).inputValue()
  await page.getByRole('button', { name: 'Done' }).click()
  expect(second).not.toBe(first)
  await expect.poll(() => read(second)).toBe(200)
  expect(await read(first)).toBe(200)
  await row.getByRole('button', { name: /Revoke/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await expect.poll(() => read(first)).toBe(401)
  await expectAccessible()
})

test('availability shows the uptime of a month, and opens the status page to everybody', async () => {
  await openTab('Availability')
  await page.getByText('Promised').waitFor()
  await page.getByRole('switch').click({ force: true })
  await page.getByRole('link', { name: 'Open the page' }).waitFor()
  expect((await platform.call('control', '/v1/status/shown')).json.tenant).toBe('shown')
  await expectAccessible()
})

test('invoices are looked at as PDF, and taken along', async () => {
  await openTab('Invoices')
  await page
    .getByRole('button', { name: /View the invoice/ })
    .first()
    .click()
  await page.locator('iframe[title^="Invoice"]').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  for (const [name, type] of [
    ['PDF', 'application/pdf'],
    ['CSV', 'text/csv'],
  ] as const) {
    const address = await page
      .getByRole('link', { name: new RegExp(`^${name} of`) })
      .first()
      .getAttribute('href')
    const answer = await platform.control(address ?? '')
    expect([answer.status, String(answer.headers['content-type']).split(';')[0]]).toEqual([200, type])
  }
  await expectAccessible()
})

test('the tenant is asked for access to its data, and its history tells who did what', async () => {
  await openTab('Access')
  await page.getByRole('button', { name: 'Ask for access' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Reason').fill('Ticket 42: a row is missing')
  await dialog.getByRole('button', { name: 'Ask', exact: true }).click()
  await dialog.waitFor({ state: 'detached' })
  await page.getByText('Ticket 42: a row is missing').waitFor()
  await page.getByText('pending').waitFor()
  await expectAccessible()
  await openTab('History')
  await page.getByText('tenant.update').first().waitFor()
  await page.getByText('public_status: false → true').waitFor()
  await expectAccessible()
})

test('a tenant is moved to a server of its own, and the steps are shown', async () => {
  await openTab('Overview')
  await page.getByRole('button', { name: 'Move', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Database', { exact: true }).check()
  await dialog.getByRole('button', { name: 'Move it' }).click()
  await dialog.getByText('shown has database isolation now.').waitFor({ timeout: 30_000 })
  await expectAccessible()
  await dialog.getByRole('button', { name: 'Close', exact: true }).last().click()
  await dialog.waitFor({ state: 'detached' })
  expect((await platform.control(`/v1/tenants/${tenant.tenant_id}`)).json.isolation).toBe('database')
})

test('suspended and resumed; deleted only by its name, and restored', async () => {
  const status = async () => (await platform.control(`/v1/tenants/${tenant.tenant_id}`)).json.status
  await page.getByRole('button', { name: 'Suspend' }).click()
  await expect.poll(status).toBe('suspended')
  await page.getByRole('button', { name: 'Resume' }).click()
  await expect.poll(status).toBe('active')
  await page.getByRole('button', { name: 'Delete' }).click()
  const dialog = page.getByRole('dialog')
  const confirm = dialog.getByRole('button', { name: 'Delete', exact: true })
  await dialog.getByLabel('Type shown to delete it').fill('show')
  expect(await confirm.isDisabled()).toBe(true)
  await dialog.getByLabel('Type shown to delete it').fill('shown')
  await confirm.click()
  await expect.poll(status, { timeout: 15_000 }).toBe('deleted')
  await page.getByRole('button', { name: 'Restore' }).click()
  await expect.poll(status, { timeout: 15_000 }).toBe('active')
})

test('a server is drained and taken back, the isolation audit is read and repeated', async () => {
  await page.getByRole('link', { name: 'Servers' }).click()
  await page.getByRole('button', { name: 'Drain shared-0' }).click()
  await page.getByRole('button', { name: 'Drain it' }).click()
  await page.getByRole('button', { name: 'Use shared-0' }).click()
  await page.getByRole('button', { name: 'Drain shared-0' }).waitFor()
  await expectAccessible()
  await page.getByRole('link', { name: 'Isolation audit' }).click()
  await page.getByText('Every wall stands').waitFor()
  await page.getByRole('button', { name: 'Look now' }).click()
  await page.getByRole('table', { name: 'Promises' }).getByText('kept').first().waitFor()
  await expectAccessible()
})

test('a webhook is made with its secret, looked at and removed; a platform key is made, and revoked', async () => {
  await page.getByRole('link', { name: 'Webhooks' }).click()
  await page.getByRole('button', { name: 'New webhook' }).click()
  await page.getByRole('textbox', { name: 'Address' }).fill('https://hooks.example.com/aerodb')
  await page.getByRole('button', { name: 'Make it' }).click()
  expect(await page.getByLabel('The secret', { exact: true }).inputValue()).toMatch(/^whsec_/)
  await page.getByRole('button', { name: 'Done' }).click()
  await page.getByRole('button', { name: 'Deliveries to https://hooks.example.com/aerodb' }).click()
  await page.getByRole('heading', { name: 'Deliveries', exact: true }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByRole('button', { name: 'Remove https://hooks.example.com/aerodb' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByText('Nobody is told').waitFor()
  await expectAccessible()
  await page.getByRole('link', { name: 'Platform keys' }).click()
  await page.getByRole('button', { name: 'New key' }).click()
  await page.getByLabel('Name').fill('night shift')
  await page.getByRole('button', { name: 'Make it' }).click()
  const key = await page.getByLabel('The key night shift', { exact: true }).inputValue()
  await page.getByRole('button', { name: 'Done' }).click()
  const overview = async () => (await platform.control('/v1/overview', { key })).status
  expect(await overview()).toBe(200)
  await page.getByRole('button', { name: 'Revoke the key night shift' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await page.getByText('The key night shift is revoked.').waitFor()
  expect(await overview()).toBe(401)
  await expectAccessible()
})

test('alerts and operations are listed, on a phone and in the dark too, and the console stays silent', async () => {
  await page.goto(`${new URL(page.url()).origin}/operations`)
  await page.getByRole('cell', { name: 'restore' }).first().waitFor()
  await page.goto(`${new URL(page.url()).origin}/alerts`)
  await page.getByRole('heading', { name: 'Alerts' }).waitFor()
  await expectAccessible()
  await page.setViewportSize({ width: 390, height: 800 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.goto(`${new URL(page.url()).origin}/tenants/${tenant.tenant_id}`)
  await page.getByRole('heading', { name: 'Quotas' }).waitFor()
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true)
  await expectAccessible()
  expect(complaints).toEqual([])
})

async function openTab(name: string): Promise<void> {
  await page.getByRole('tab', { name }).click()
  await page.getByRole('tabpanel', { name }).waitFor()
}

/** What axe finds on the page as it stands: nothing. */
async function expectAccessible(): Promise<void> {
  // What fades in or out has neither its own colours nor gone.
  await page.evaluate(
    `Promise.race([
      Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))),
      new Promise((resolve) => setTimeout(resolve, 2000)),
    ])`,
  )
  await page.evaluate(await readFile(axe, 'utf8'))
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { html: string }[] }[]
  }
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual([])
}
