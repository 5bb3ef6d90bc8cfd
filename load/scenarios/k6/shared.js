// What the k6 scripts share: the tenants under load, requests in their name, and the check that each answer is theirs.
import { check } from 'k6'
import { SharedArray } from 'k6/data'
import http from 'k6/http'
import { Counter } from 'k6/metrics'

export const tenants = new SharedArray('tenants', () => JSON.parse(open(__ENV.DATA_FILE)).tenants)
/** Answers that held a row of another tenant. It has to stay at zero. */
export const leaks = new Counter('leaks')
/** Answers by what the gateway said. */
export const admitted = new Counter('admitted')
export const refused = new Counter('refused')
export const shed = new Counter('shed')
export const broken = new Counter('broken')

export const number = (name, fallback) => Number(__ENV[name] || fallback)
export const PERCENTILES = ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)']

export function params(tenant, tags) {
  return {
    headers: {
      Host: `${tenant.name}.${__ENV.DOMAIN}`,
      Authorization: `Bearer ${tenant.key}`,
      'Content-Type': 'application/json',
      Prefer: 'return=representation',
    },
    timeout: '30s',
    tags: { name: 'notes', ...tags },
  }
}

export function anyTenant() {
  return tenants[Math.floor(Math.random() * tenants.length)]
}

/** Reads one row by id, mostly; a list now and then. */
export function readNotes(tenant, tags) {
  const id = 1 + Math.floor(Math.random() * tenant.rows)
  const path = Math.random() < 0.75 ? `notes?id=eq.${id}` : 'notes?order=id.desc&limit=10'
  return http.get(`${__ENV.GATEWAY}/rest/v1/${path}`, params(tenant, { kind: 'read', ...tags }))
}

/** Writes a row, or changes one of the first rows. */
export function writeNotes(tenant, tags) {
  const tagged = params(tenant, { kind: 'write', ...tags })
  if (Math.random() < 0.5) {
    const body = JSON.stringify({ canary: tenant.canary, body: `written ${Date.now()}` })
    return http.post(`${__ENV.GATEWAY}/rest/v1/notes`, body, tagged)
  }
  const id = 1 + Math.floor(Math.random() * tenant.rows)
  return http.patch(
    `${__ENV.GATEWAY}/rest/v1/notes?id=eq.${id}`,
    JSON.stringify({ body: `changed ${Date.now()}` }),
    tagged,
  )
}

/** One request of the usual mix: four reads for each write. */
export function anyRequest(tenant, tags) {
  return Math.random() < 0.8 ? readNotes(tenant, tags) : writeNotes(tenant, tags)
}

/** True when every row of the answer carries its tenant's canary, and there is at least one. */
export function isOwn(response, tenant) {
  // Not parsed: that would cost the machine as much as sending the request. A text of a row has its quotes escaped.
  const [head, ...rows] = String(response.body).split('"canary":"')
  if (!head.startsWith('[{') || rows.length === 0) return false
  const own = rows.every((row) => row.startsWith(`${tenant.canary}"`))
  if (!own) leaks.add(1)
  return own
}

/** Counts what the gateway said; 429 and 503 are answers that a scenario may expect, anything else that is not 2xx is broken. */
export function classify(response) {
  if (response.status >= 200 && response.status < 300) admitted.add(1)
  else if (response.status === 429) refused.add(1)
  else if (response.status === 503) shed.add(1)
  else broken.add(1)
}

/** A good answer of its own tenant. */
export function checkOwn(response, tenant) {
  classify(response)
  check(response, {
    'answers 2xx': (r) => r.status >= 200 && r.status < 300,
    'holds the rows of its tenant': (r) => isOwn(r, tenant),
  })
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY_FILE]: JSON.stringify(data) }
}
