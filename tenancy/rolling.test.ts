import { expect, test } from 'vitest'
import { parseServerRecord } from './server-record.ts'
import { parseTenantSnapshot } from './snapshot.ts'

/*
 * While a platform is upgraded, control is of the new release and gateways and backends are of the old one: they read documents
 * with members that they do not know.
 */

const snapshot = {
  tenant_id: 'ten_1',
  name: 'acme',
  version: 1,
  status: 'active',
  plan: 'pro',
  isolation: 'schema',
  quotas: {
    storage_bytes: 1,
    api_requests_per_month: null,
    file_storage_bytes: 1,
    realtime_connections: 1,
    requests_per_second: 1,
  },
  storage_exceeded: false,
  file_storage_exceeded: false,
  keys: [],
  jwt: { sealed_secret: null, jwks_url: null, issuer: null, audience: null },
  placement: { server: 'shared-0', schema: 't_1', role: 't_1' },
  backend: { kind: 'shared', name: 'shared', urls: [], pipelining: 1 },
}

const server = {
  server: 'shared-0',
  version: 1,
  host: '127.0.0.1',
  port: 5432,
  database: 'x',
  request_login: { user: 'a', sealed_password: 'x' },
  ddl_login: { user: 'b', sealed_password: 'x' },
  max_connections: 1,
  replicas: [{ host: '127.0.0.1', port: 5433 }],
}

/** The document with a member more in every object. */
function grow(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(grow)
  if (value === null || typeof value !== 'object') return value
  const members = Object.entries(value).map(([name, member]) => [name, grow(member)])
  return { ...Object.fromEntries(members), of_a_newer_release: { deep: 1 } }
}

test("a tenant's document of a newer release is read for what this one knows", () => {
  expect(parseTenantSnapshot(JSON.stringify(grow(snapshot)))).toEqual(parseTenantSnapshot(JSON.stringify(snapshot)))
})

test("a server's document of a newer release is read for what this one knows", () => {
  expect(parseServerRecord(JSON.stringify(grow(server)))).toEqual(parseServerRecord(JSON.stringify(server)))
})
