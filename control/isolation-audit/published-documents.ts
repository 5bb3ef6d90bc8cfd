import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { RedisClient } from '../../runtime/redis.ts'
import { listDocuments, type StoredDocument } from '../../tenancy/directory-documents.ts'
import { parseServerRecord } from '../../tenancy/server-record.ts'
import { parseTenantSnapshot } from '../../tenancy/snapshot.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Observation } from './finding.ts'

type KnownTenant = {
  name: string
  tenant_id: string
  version: number
  status: string
  isolation: string
  server: string | null
  jwt: unknown
  backend_url: string | null
  keys: { id: string; kind: string; digest: string }[] | null
}
type KnownServer = {
  server: string
  version: number
  host: string
  port: number
  database: string
  sealed_request_password: string
  sealed_ddl_password: string
}

/**
 * Compares what gateways and backends are told (Redis) with what control decided (the metadata database): whose a name is, where its
 * data lies, under which role, which keys and secrets open it, and where a server is. Whoever can write to Redis could tell them
 * otherwise. A document that is on its way (of an older version) is not compared.
 * @throws when Redis or the metadata database is away.
 */
export async function auditPublished(redis: RedisClient, metadata: PostgresPool): Promise<Observation[]> {
  // First what is published: what control knows is then at least as new.
  const documents = await listDocuments(redis)
  const tenants = new Map((await readTenants(metadata)).map((tenant) => [tenant.name, tenant]))
  const servers = new Map((await readServers(metadata)).map((server) => [server.server, server]))
  return documents.flatMap((stored) => {
    const known = stored.kind === 'tenant' ? tenants.get(stored.key) : undefined
    const what =
      stored.kind === 'tenant' ? faultOfTenant(stored, known) : faultOfServer(stored, servers.get(stored.key))
    if (what === undefined) return []
    const schema = known === undefined ? null : tenantSchemaName(known.tenant_id)
    return [{ code: 'published_wrong' as const, schema, object: `${stored.kind} ${stored.key} in Redis`, what }]
  })
}

function faultOfTenant({ version, document }: StoredDocument, known: KnownTenant | undefined): string | undefined {
  if (known === undefined) return 'no tenant has that name'
  if (version < known.version) return undefined
  if (version > known.version) return `its version ${version} is none that control gave`
  try {
    const told = parseTenantSnapshot(document)
    const schema = tenantSchemaName(known.tenant_id)
    const placement = known.server === null ? null : { server: known.server, schema, role: schema }
    const digests = new Map(known.keys?.map(({ id, kind, digest }) => [id, `${kind} ${digest}`]))
    const facts: [string, unknown, unknown][] = [
      ['tenant', told.tenant_id, known.tenant_id],
      ['name', told.name, known.name],
      ['version', told.version, known.version],
      ['status', told.status, known.status],
      ['isolation', told.isolation, known.isolation],
      ['placement', told.placement, placement],
      ['JWT settings', told.jwt, known.jwt],
      ['backend', told.backend.kind === 'registered' ? told.backend.urls : [], [known.backend_url ?? []].flat()],
      // One that ran out meanwhile may still be named: it opens nothing.
      ['keys', told.keys.every(({ id, kind, digest }) => digests.get(id) === `${kind} ${digest}`), true],
    ]
    return differenceOf(facts)
  } catch {
    return 'it cannot be read'
  }
}

function faultOfServer({ version, document }: StoredDocument, known: KnownServer | undefined): string | undefined {
  // One that has just been given up: no tenant's document may name it, which is compared above.
  if (known === undefined || version < known.version) return undefined
  if (version > known.version) return `its version ${version} is none that control gave`
  try {
    const told = parseServerRecord(document)
    return differenceOf([
      ['server', told.server, known.server],
      ['host', told.host, known.host],
      ['port', told.port, known.port],
      ['database', told.database, known.database],
      ['password of requests', told.request_login.sealed_password, known.sealed_request_password],
      ['password of changes', told.ddl_login.sealed_password, known.sealed_ddl_password],
      ['logins', [told.request_login.user, told.ddl_login.user], ['aerodb_request', 'aerodb_ddl']],
    ])
  } catch {
    return 'it cannot be read'
  }
}

/** Names what differs; values may be secrets or another tenant's, and are not told. */
function differenceOf(facts: readonly [string, unknown, unknown][]): string | undefined {
  const different = facts.filter(([, told, known]) => canonical(told) !== canonical(known)).map(([name]) => name)
  return different.length === 0 ? undefined : `it differs from what control decided: ${different.join(', ')}`
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

/** Of all tenants that ever had a name the one that is published under it (`control/directory/documents.ts`). */
async function readTenants(metadata: PostgresPool): Promise<KnownTenant[]> {
  const result = await metadata.query<KnownTenant>(
    `select distinct on (tenant.name) tenant.name, tenant_id, version, status, isolation, server, backend.url as backend_url,
       json_build_object('sealed_secret', jwt_sealed_secret, 'jwks_url', jwt_jwks_url, 'issuer', jwt_issuer, 'audience', jwt_audience) as jwt,
       (select json_agg(json_build_object('id', key_id, 'kind', kind, 'digest', digest)) from control.tenant_keys key
        where key.tenant_id = tenant.tenant_id) as keys
     from control.tenants tenant left join control.backends backend on backend.name = tenant.backend
     order by tenant.name, (status in ('deleting', 'deleted', 'failed')), version desc`,
  )
  return result.rows.map((row) => ({ ...row, version: Number(row.version) }))
}

async function readServers(metadata: PostgresPool): Promise<KnownServer[]> {
  const result = await metadata.query<KnownServer>(
    'select server, version, host, port, database, sealed_request_password, sealed_ddl_password from control.servers',
  )
  return result.rows.map((row) => ({ ...row, version: Number(row.version) }))
}
