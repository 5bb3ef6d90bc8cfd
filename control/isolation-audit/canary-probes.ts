import { randomBytes } from 'node:crypto'
import { request } from 'undici'
import type { Observation } from './finding.ts'

export type ProbeTarget = {
  /** The gateway's base URL. */
  gatewayUrl: string
  domain: string
  /** A platform key that may make and delete tenants. */
  platformKey: string
}

type Canary = { id: string; name: string; anonKey: string; serviceKey: string; secret: string }
type Answer = { status: number; text: string }

const COLLECTION = 'canaries'
const TIMEOUT_MS = 30_000

/**
 * Makes two tenants with a secret row each and tries, through the real gateway, to reach the one's with what the other has:
 * its keys, its context, its columns. A probe leaks when an answer holds the other's secret, or opens where it must not.
 * The tenants are removed again, also after a fault; a platform that cannot be probed is a finding (`check_failed`).
 */
export async function probeCanaries(target: ProbeTarget): Promise<Observation[]> {
  const canaries: Canary[] = []
  try {
    canaries.push(await makeCanary(target))
    canaries.push(await makeCanary(target))
    const [a, b] = canaries
    if (a === undefined || b === undefined) throw new Error('unreachable')
    const observations = [...(await probe(target, a, b)), ...(await probe(target, b, a))]
    return observations
  } catch (fault) {
    return [{ code: 'check_failed', schema: null, object: 'canary tenants', what: (fault as Error).message }]
  } finally {
    for (const { id } of canaries) await control(target, 'DELETE', `/v1/tenants/${id}?purge=true`).catch(() => {})
  }
}

/** Everything that `mine` may try against `other`. */
async function probe(target: ProbeTarget, mine: Canary, other: Canary): Promise<Observation[]> {
  const observations: Observation[] = []
  const seen = (object: string, what: string) => observations.push({ code: 'canary_leak', schema: null, object, what })
  const rows = `/rest/v1/${COLLECTION}`
  const as = (host: Canary, key: string, path: string, init: CallInit = {}) =>
    call(target, host.name, path, {
      ...init,
      headers: { apikey: key, authorization: `Bearer ${key}`, ...init.headers },
    })

  // 1. Its keys on the other's host open nothing.
  for (const [kind, key] of [
    ['anon', mine.anonKey],
    ['service', mine.serviceKey],
  ] as const) {
    for (const path of [rows, '/schema/v1/collections', '/storage/v1/bucket']) {
      const answer = await as(other, key, path)
      if (answer.status < 400) seen(`GET ${path}`, `another tenant’s ${kind} key got ${answer.status}`)
      if (answer.text.includes(other.secret)) seen(`GET ${path}`, `another tenant’s ${kind} key read a row`)
    }
  }
  // 2. On its own host it sees its own row, and in no form the other's.
  const forged = Buffer.from(JSON.stringify({ tenant_id: other.id, role: 'service_role' })).toString('base64url')
  const tries: [string, CallInit][] = [
    [`${rows}?select=*`, {}],
    [`${rows}?tenant_id=eq.${other.id}`, {}],
    [`${rows}?select=secret&secret=eq.${other.secret}`, {}],
    [`${rows}?select=secret&or=(secret.neq.x,secret.is.null)`, {}],
    [rows, { headers: { 'accept-profile': schemaOf(other) } }],
    [
      rows,
      { headers: { 'x-aerodb-context': `${forged}.${forged}`, 'x-forwarded-host': `${other.name}.${target.domain}` } },
    ],
    [`/rest/v1/${schemaOf(other)}.${COLLECTION}`, {}],
    [rows, { method: 'POST', body: { tenant_id: other.id, secret: `intruder ${mine.secret}` } }],
    [rows, { method: 'PATCH', query: 'secret=neq.x', body: { tenant_id: other.id } }],
  ]
  for (const [path, init] of tries) {
    const answer = await as(mine, mine.serviceKey, init.query === undefined ? path : `${path}?${init.query}`, init)
    // A filter's own text comes back in errors: only a row's form counts.
    if (answer.status < 300 && answer.text.includes(other.secret))
      seen(`${init.method ?? 'GET'} ${path}`, 'it read another tenant’s row')
  }
  // 3. After all this the other still has its own row, and none that was put there.
  const left = await as(other, other.serviceKey, `${rows}?select=secret`)
  if (left.status !== 200 || !left.text.includes(`"${other.secret}"`))
    seen(`GET ${rows}`, `the other tenant’s row was changed, or it got ${left.status}`)
  if (left.text.includes(mine.secret)) seen(`POST ${rows}`, 'a row was put into another tenant’s collection')
  return observations
}

async function makeCanary(target: ProbeTarget): Promise<Canary> {
  const name = `canary-${randomBytes(8).toString('hex')}`
  const made = await control(target, 'POST', '/v1/tenants', { name })
  if (made.status !== 201) throw new Error(`A canary tenant could not be made: ${made.status}`)
  const tenant = JSON.parse(made.text) as { tenant_id: string; keys: { anon: string; service: string } }
  const canary = {
    id: tenant.tenant_id,
    name,
    anonKey: tenant.keys.anon,
    serviceKey: tenant.keys.service,
    secret: randomBytes(16).toString('hex'),
  }
  try {
    const headers = { apikey: canary.serviceKey, authorization: `Bearer ${canary.serviceKey}` }
    const columns = [{ name: 'secret', type: 'text', nullable: false }]
    const steps = [
      ['/schema/v1/collections', { name: COLLECTION, columns, rls: { policy: 'none' } }],
      [`/rest/v1/${COLLECTION}`, { secret: canary.secret }],
    ] as const
    for (const [path, body] of steps) {
      const answer = await call(target, name, path, { method: 'POST', headers, body })
      if (answer.status !== 201) throw new Error(`A canary tenant got ${answer.status} from ${path}`)
    }
    return canary
  } catch (fault) {
    await control(target, 'DELETE', `/v1/tenants/${canary.id}?purge=true`).catch(() => {})
    throw fault
  }
}

function schemaOf(canary: Canary): string {
  return `t_${canary.id.slice(4)}`
}

type CallInit = {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  headers?: Record<string, string>
  body?: unknown
  query?: string
}

async function control(target: ProbeTarget, method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${target.platformKey}` }
  return call(target, 'control', path, { method, headers, ...(body === undefined ? {} : { body }) })
}

/** One request to `<host>.<domain>` at the gateway, whatever the domain resolves to. */
async function call(target: ProbeTarget, host: string, path: string, init: CallInit): Promise<Answer> {
  const response = await request(new URL(path, target.gatewayUrl), {
    method: init.method ?? 'GET',
    headers: {
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
      host: `${host}.${target.domain}`,
    },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  return { status: response.statusCode, text: await response.body.text() }
}
