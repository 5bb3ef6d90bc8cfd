import { type Document, type PlatformClient, unwrap } from '../client/platform-client.ts'
import { CliFault, EXIT } from './fault.ts'

export type Tenant = Document<'Tenant'>

/**
 * Finds a tenant by its id or name. `deleted` looks among the deleted ones, `any` there as well: names of deleted tenants
 * need not be unique. @throws CliFault when there is none, or more than one.
 */
export async function findTenant(
  api: PlatformClient,
  reference: string,
  among: 'living' | 'deleted' | 'any' = 'living',
): Promise<Tenant> {
  // A name is a DNS label: it has no underscore.
  if (reference.startsWith('ten_'))
    return unwrap(await api.GET('/v1/tenants/{tenant_id}', { params: { path: { tenant_id: reference } } }))
  const found = among === 'deleted' ? [] : await findNamed(api, reference)
  if (found.length === 0 && among !== 'living') found.push(...(await findNamed(api, reference, 'deleted')))
  const [tenant, ...others] = found
  if (tenant === undefined)
    throw new CliFault(
      EXIT.notFound,
      'not_found',
      `There is no ${among === 'deleted' ? 'deleted ' : ''}tenant ${reference}.`,
    )
  if (others.length > 0)
    throw new CliFault(
      EXIT.usage,
      'name_ambiguous',
      `Several deleted tenants were called ${reference}: ${found.map((one) => one.tenant_id).join(', ')}.`,
      'Name one by its id.',
    )
  return tenant
}

/** The API's filter matches a part of the name. */
async function findNamed(api: PlatformClient, name: string, status?: 'deleted'): Promise<Tenant[]> {
  const found: Tenant[] = []
  let cursor: string | null = null
  do {
    const query = { name, limit: 200, ...(status && { status }), ...(cursor === null ? {} : { cursor }) }
    const page: { data: Tenant[]; next_cursor: string | null } = unwrap(
      await api.GET('/v1/tenants', { params: { query } }),
    )
    found.push(...page.data.filter((tenant) => tenant.name === name))
    cursor = page.next_cursor
  } while (cursor !== null && (status === 'deleted' || found.length === 0))
  return found
}
