import { withPostgres } from '../../runtime/postgres-client.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { makeChange } from '../stores/change.ts'
import { findMove, listLeftovers, setMoveLeftover } from '../stores/move-store.ts'
import { lockAnyTenant, tenantExisted } from '../stores/tenant-store.ts'
import { dismissMover } from './copy-schema.ts'
import { type Both, type MoveOptions, provisionerOf, readBoth } from './ends.ts'
import { replicationName, unpublishSchema, unsubscribe } from './replication.ts'

/** After the switch: the target no longer follows, and nothing of the tenant stays on the server that it has left. */
export async function removeSource({ from, to, source, target }: Both): Promise<void> {
  const name = replicationName(source.tenant_id)
  const schema = tenantSchemaName(source.tenant_id)
  await withPostgres(to.connect(target), async (client) => {
    await unsubscribe(client, name)
    await dismissMover(client, schema)
  })
  // A server of the tenant's own goes with its slot and publication, and may be gone already.
  if (source.isolation === 'schema')
    await withPostgres(from.connect(source), (client) => unpublishSchema(client, schema, name))
  await from.remove(source)
}

/** Instead of a switch: the source is as it was before, and nothing of the tenant stays on the server that it was to go to. */
export async function removeTarget({ from, to, source, target }: Both): Promise<void> {
  const name = replicationName(source.tenant_id)
  // A target that does not run cannot hold on to the slot either.
  await withPostgres(to.connect(target), (client) => unsubscribe(client, name)).catch(() => {})
  await withPostgres(from.connect(source), (client) =>
    unpublishSchema(client, tenantSchemaName(source.tenant_id), name),
  )
  await to.remove(target)
}

/** Removes what moves could not remove when they ended, because a server was away: tried until it goes through. */
export async function clearLeftovers(options: MoveOptions): Promise<void> {
  for (const tenantId of await listLeftovers(options.pool))
    try {
      await clearLeftover(options, tenantId)
    } catch (fault) {
      options.log.warn({ err: fault, tenant_id: tenantId }, 'what a move has left cannot be removed yet')
    }
}

async function clearLeftover(options: MoveOptions, tenantId: string): Promise<void> {
  const tenant = await tenantExisted(options.pool, tenantId)
  if (tenant === undefined) return
  const both = await readBoth(options, tenant)
  const isSource = both.move.leftover === 'from'
  await (isSource ? removeSource(both) : removeTarget(both))
  await makeChange(options.pool, options.publish, async (change) => {
    const current = await lockAnyTenant(change, tenantId)
    // Another replica was faster: the place is given back once.
    if ((await findMove(change.tx, tenantId)).leftover === null) return
    await setMoveLeftover(change.tx, tenantId, null)
    const { isolation, server } = isSource ? both.source : both.target
    if (server !== null) await provisionerOf(options, isolation).release(change, { ...current, isolation, server })
  })
}
