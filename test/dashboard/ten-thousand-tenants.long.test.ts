import pg from 'pg'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBrowser } from '../support/browser.ts'
import { TestPlatform } from '../support/platform.ts'

/*
 * The dashboard before ten thousand tenants. All but a few are rows in the metadata database with nothing behind them (suspended,
 * so that nobody asks after them): what is looked at here is lists, not what they list. `load/`'s `schema-10000` makes real ones.
 */
const TENANTS = 10_000
let platform: TestPlatform
let browser: Browser
let page: Page

beforeAll(async () => {
  ;[platform, browser] = await Promise.all([TestPlatform.start(), startBrowser()])
  const pattern = await platform.createTenant('pattern', { plan: 'pro' })
  const metadata = new pg.Client({ connectionString: platform.endpoints.metadata_database_url })
  await metadata.connect()
  await metadata.query(
    `insert into control.tenants (tenant_id, name, plan, region, isolation, status, documents_bytes, server, created_at)
     select 'ten_' || lpad(($2 - i)::text, 26, '0'), 'many-' || lpad(i::text, 5, '0'), (array['free', 'pro', 'enterprise'])[1 + i % 3],
       region, 'schema', 'suspended', i * 1000, server, now() - i * interval '1 minute'
     from control.tenants, generate_series(1, $2) i where tenant_id = $1`,
    [pattern.tenant_id, TENANTS],
  )
  await metadata.end()
  await platform.createTenant('latest', { plan: 'pro' })
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(20_000)
  await page.goto(`${platform.endpoints.gateway.replace('127.0.0.1', `control.${platform.endpoints.domain}`)}/`)
  await page.getByLabel('Platform key').fill(platform.endpoints.platform_key)
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
}, 600_000)
afterAll(async () => {
  await browser?.close()
  await platform?.close()
})

const rows = () => page.locator('tbody tr').count()

test('a name is found among all of them as it is typed', async () => {
  await page.getByRole('link', { name: 'Tenants', exact: true }).first().click()
  await page.getByRole('link', { name: 'latest' }).waitFor()
  await page.getByLabel('Search by name').fill('07777')
  await page.getByRole('link', { name: 'many-07777' }).waitFor()
  await expect.poll(rows, { timeout: 20_000 }).toBeLessThan(5)
  await page.getByRole('button', { name: 'Clear the search' }).click()
})

test('they are sorted by the platform, not by what the page happens to hold', async () => {
  await page.getByRole('link', { name: 'latest' }).waitFor()
  await page
    .getByRole('columnheader', { name: /Storage/ })
    .getByRole('button')
    .first()
    .click()
  await expect.poll(() => page.locator('tbody a').first().textContent(), { timeout: 20_000 }).toBe('many-10000')
})

test('pages follow each other by cursor, to and fro, without a tenant twice', async () => {
  const names = () => page.locator('tbody a').allTextContents()
  const seen = new Set(await names())
  const first = [...seen][0]
  for (let turned = 1; turned <= 5; turned++) {
    const before = (await names())[0]
    await page.getByRole('button', { name: 'Next' }).click()
    await expect.poll(async () => (await names())[0], { timeout: 20_000 }).not.toBe(before)
    const next = await names()
    expect(next.filter((name) => seen.has(name))).toEqual([])
    for (const name of next) seen.add(name)
  }
  for (let turned = 1; turned <= 5; turned++) {
    const before = (await names())[0]
    await page.getByRole('button', { name: 'Previous' }).click()
    await expect.poll(async () => (await names())[0], { timeout: 20_000 }).not.toBe(before)
  }
  expect((await names())[0]).toBe(first)
})
