import { randomBytes } from 'node:crypto'
import { request } from 'undici'
import { makeId } from '../../runtime/ids.ts'
import { CONTEXT_HEADER, type RequestContext, RequestContextCodec } from '../../tenancy/request-context.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Observation } from './finding.ts'

const TIMEOUT_MS = 10_000
/** Of every API that a backend has. */
const PATHS = ['/rest/v1/', '/schema/v1/collections', '/storage/v1/bucket']

/**
 * Goes around the gateway: asks backends themselves without a context, and with ones that nobody signed who may. Each must be refused
 * as having none; a backend that cannot be reached from here is closed to us, which is no finding.
 */
export async function probeContexts(backendUrls: readonly string[], nowMs: number): Promise<Observation[]> {
  const tenantId = makeId('ten')
  const schema = tenantSchemaName(tenantId)
  const context: RequestContext = {
    tenant_id: tenantId,
    name: 'forged',
    isolation: 'schema',
    placement: { server: 'shared-0', schema, role: schema },
    role: 'service_role',
    key_id: null,
    claims: null,
    quotas: { storage_bytes: null, file_storage_bytes: null },
    expires_at: nowMs + 60_000,
  }
  const signed = new RequestContextCodec(randomBytes(32).toString('hex')).sign(context)
  const [body = ''] = signed.split('.')
  const forged: Record<string, Record<string, string>> = {
    'without a context': {},
    'with a context under another secret': { [CONTEXT_HEADER]: signed },
    'with an unsigned context': { [CONTEXT_HEADER]: `${body}.` },
    'with the mere text of a context': { [CONTEXT_HEADER]: JSON.stringify(context) },
  }
  const observations: Observation[] = []
  for (const url of backendUrls)
    for (const [what, headers] of Object.entries(forged))
      for (const path of PATHS) {
        const status = await statusOf(url + path, headers)
        if (status === undefined || status === 401) continue
        observations.push({
          code: 'context_unchecked',
          schema: null,
          object: `backend ${new URL(url).host} ${path}`,
          what: `a request ${what} got ${status}`,
        })
      }
  return observations
}

async function statusOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  try {
    const response = await request(url, { headers, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    await response.body.dump()
    return response.statusCode
  } catch {
    return undefined
  }
}
