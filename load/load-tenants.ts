import { randomBytes } from 'node:crypto'
import { mapBounded } from './bounded.ts'
import type { PlatformClient } from './platform-client.ts'

/** A tenant under load. Each row that it owns holds its canary, which no other tenant has. */
export type LoadTenant = { id: string; name: string; key: string; canary: string; rows: number }

export const COLLECTION = 'notes'
const CREATED_AT_ONCE = 8

/** Makes tenants with a collection of `rows` rows each, a bounded number at a time. */
export async function createLoadTenants(
  client: PlatformClient,
  count: number,
  options: {
    prefix: string
    members?: Readonly<Record<string, unknown>>
    rows?: number
    onProgress?: (text: string) => void
  },
): Promise<LoadTenant[]> {
  const { prefix, members = { plan: 'enterprise' }, rows = 10, onProgress } = options
  // Names of another run on the same platform are taken already.
  const run = randomBytes(3).toString('hex')
  let made = 0
  const indexes = Array.from({ length: count }, (_, i) => i)
  return mapBounded(indexes, CREATED_AT_ONCE, async (i) => {
    const tenant = await createOne(client, `${prefix}-${run}-${i}`, members, rows)
    made++
    if (made % 100 === 0) onProgress?.(`${made} of ${count} tenants made`)
    return tenant
  })
}

async function createOne(
  client: PlatformClient,
  name: string,
  members: Readonly<Record<string, unknown>>,
  rows: number,
): Promise<LoadTenant> {
  const { tenant_id: id, keys } = await client.createTenant(name, members)
  const canary = `canary-${randomBytes(12).toString('hex')}`
  await client.demand(name, '/schema/v1/collections', {
    key: keys.service,
    body: {
      name: COLLECTION,
      columns: [
        { name: 'canary', type: 'text', nullable: false },
        { name: 'body', type: 'text', nullable: true },
      ],
    },
  })
  await client.demand(name, `/rest/v1/${COLLECTION}`, {
    key: keys.service,
    body: Array.from({ length: rows }, (_, i) => ({ canary, body: `row ${i} of ${name}` })),
  })
  return { id, name, key: keys.service, canary, rows }
}

/** Ends tenants for good, so that a platform that goes on running is left as it was found. */
export async function purgeLoadTenants(client: PlatformClient, tenants: readonly LoadTenant[]): Promise<void> {
  await mapBounded(tenants, CREATED_AT_ONCE, (tenant) =>
    client.control(`/v1/tenants/${tenant.id}?purge=true`, { method: 'DELETE' }).catch(() => {}),
  )
}
