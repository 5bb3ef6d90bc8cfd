import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { replaceFile } from './data-directory.ts'
import type { Endpoints } from './platform.ts'

type DemoTenant = { name: string; keys: { anon: string; service: string } }

const TODOS: Readonly<Record<string, readonly string[]>> = {
  acme: ['order anvils', 'paint the tunnel', 'return the rocket skates'],
  globex: ['buy the Denver Broncos', 'hire a moat keeper'],
}

/**
 * Makes the tenants `acme` and `globex`, each with a collection `todos` and rows, through the public API, and returns the
 * text that shows how to use them. Their keys are shown once by the platform, so they are kept beside the other secrets.
 */
export async function makeDemo(endpoints: Endpoints, dataDirectory: string): Promise<string> {
  const file = join(dataDirectory, 'demo.json')
  const known = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as DemoTenant[],
    () => [],
  )
  const tenants: DemoTenant[] = []
  for (const [name, titles] of Object.entries(TODOS)) {
    tenants.push(known.find((tenant) => tenant.name === name) ?? (await makeTenant(endpoints, name, titles)))
    await replaceFile(file, JSON.stringify(tenants, null, 2))
  }
  const { port } = new URL(endpoints.gateway)
  return tenants
    .map(
      ({ name, keys }) =>
        `\n  ${name}: curl http://${name}.${endpoints.domain}:${port}/rest/v1/todos -H 'apikey: ${keys.anon}'\n    service key ${keys.service}`,
    )
    .join('')
}

async function makeTenant(endpoints: Endpoints, name: string, titles: readonly string[]): Promise<DemoTenant> {
  const made = (await call(endpoints, 'control', 'POST', '/v1/tenants', endpoints.platform_key, { name })) as DemoTenant
  const tenant = { name, keys: made.keys }
  await call(endpoints, name, 'POST', '/schema/v1/collections', tenant.keys.service, {
    name: 'todos',
    columns: [
      { name: 'title', type: 'text', nullable: false },
      { name: 'done', type: 'boolean', nullable: false, default: false },
    ],
  })
  await call(
    endpoints,
    name,
    'POST',
    '/rest/v1/todos',
    tenant.keys.service,
    titles.map((title) => ({ title })),
  )
  return tenant
}

async function call(
  endpoints: Endpoints,
  host: string,
  method: 'POST',
  path: string,
  key: string,
  body: unknown,
): Promise<unknown> {
  const response = await request(endpoints.gateway + path, {
    method,
    headers: {
      host: `${host}.${endpoints.domain}`,
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  })
  const text = await response.body.text()
  if (response.statusCode >= 300)
    throw new Error(`The demo's ${method} ${path} on ${host} answered ${response.statusCode}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
