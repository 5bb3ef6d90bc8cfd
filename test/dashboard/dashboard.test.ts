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

test('who has no platform key does not get in; who has one is signed in without the page ever holding it', async () => {
  await page.getByLabel('Platform key').fill('aerodb_platform_nonsense')
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByText('This key opens nothing').waitFor()
  // The refusal that was asked for.
  complaints.splice(0)
  await page.getByLabel('Platform key').fill(platform.endpoints.platform_key)
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByRole('link', { name: 'shown' }).waitFor()
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(await page.evaluate('JSON.stringify(localStorage) + JSON.stringify(sessionStorage)')).not.toContain(
    platform.endpoints.platform_key,
  )
  await expectAccessible()
})

test('tenants are found by name and plan', async () => {
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

/** What axe finds on the page as it stands: nothing. */
async function expectAccessible(): Promise<void> {
  await page.evaluate(await readFile(axe, 'utf8'))
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { html: string }[] }[]
  }
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual([])
}
