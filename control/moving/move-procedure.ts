import { setTimeout as sleep } from 'node:timers/promises'
import { withPostgres } from '../../runtime/postgres-client.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Procedure, Step } from '../reconciler/procedures.ts'
import { listTables } from '../schema-objects/read-schema.ts'
import { type Change, makeChange } from '../stores/change.ts'
import { findMove, setMoveLeftover, setMovePhase, setMoveTarget } from '../stores/move-store.ts'
import { recordStep } from '../stores/operation-store.ts'
import { lockAnyTenant, updateTenant } from '../stores/tenant-store.ts'
import { cutOver, type Ends, readSeal, retryCut, verifyFollower } from './cut-over.ts'
import { type Both, type MoveOptions, provisionerOf, readBoth, withEnds } from './ends.ts'
import { clearTarget, fillTarget, findAddress, refuseBlocked } from './fill-target.ts'
import { removeSource, removeTarget } from './leftovers.ts'
import { sendMark } from './marks.ts'
import { isFollowing } from './replication.ts'

/** From here on the target is near enough for a cut. */
const NEAR_MS = 250
const CATCH_UP_MS = 60_000
/** Gateways are told to let writes wait for so long, at most, and then have this long to hear of it. */
const HOLD_MS = 2_500
const ANNOUNCE_MS = 60
const CUTS = 10
/** After the switch every gateway has read the new snapshot, also where the announcement was lost (they ask every 2 s). */
const GRACE_MS = 3_000

/**
 * How a tenant comes to another server while it serves. Each step may be repeated and cut off anywhere:
 *
 *   choose ──► provision ──► copy ──► verify ──► cut ──► switch ──► tidy
 *
 * Up to the seal inside `cut` the source is the tenant and everything else is thrown away when something fails. With the
 * seal's commit, on the source, the target is the tenant; from there it only goes forward.
 */
export function makeMoveProcedure(options: MoveOptions): Procedure {
  const { pool, publish } = options

  const effect = (name: string, run: (both: Both) => Promise<void>): Step => ({
    name,
    kind: 'effect',
    run: async (tenant) => {
      const both = await readBoth(options, tenant)
      // A resumed move begins anew from the top; what is behind it stays behind.
      if (both.move.phase === 'switched') return
      await run(both)
      await recordStep(pool, both.move.operation_id, name)
    },
  })

  const choose: Step = {
    name: 'choose',
    kind: 'change',
    run: async (change, tenant) => {
      const move = await findMove(change.tx, tenant.tenant_id)
      if (move.to_server !== null) return
      const to = provisionerOf(options, move.to_isolation)
      await setMoveTarget(change, tenant.tenant_id, await to.place(change, { ...tenant, server: null }))
    },
  }
  const provision = effect('provision', async ({ from, to, source, target }) => {
    // The source may sleep, or know nothing of moving yet. Once it is sealed nobody may give it its rights back.
    await from.wake(source)
    const seal = await withPostgres(from.connect(source), (client) =>
      readSeal(client, tenantSchemaName(source.tenant_id)),
    )
    if (seal === undefined) await from.provision(source)
    await to.provision(target)
  })
  const copy = effect('copy', async (both) => {
    await withEnds(both, async (ends, replication) => {
      if ((await readSeal(ends.source, ends.schema)) !== undefined) return
      if (await isFollowing(ends.source, ends.target, ends.move)) return
      await refuseBlocked(both, ends)
      await clearTarget(both, ends)
      const address = await findAddress(options, both)
      const isDurable = both.target.isolation === 'cluster'
      await fillTarget(ends, replication, address, isDurable, () => options.at?.('copied'))
    })
  })
  const verify = effect('verify', async (both) => {
    await withEnds(both, async (ends) => {
      if ((await readSeal(ends.source, ends.schema)) !== undefined) return
      await catchUp(ends)
      const tables = await listTables(ends.source, ends.schema)
      await retryCut(CUTS, () => verifyFollower(ends, tables))
    })
  })
  const cut = effect('cut', async (both) => {
    await withEnds(both, async (ends) => {
      if ((await readSeal(ends.source, ends.schema)) !== undefined) return
      const tables = await listTables(ends.source, ends.schema)
      await setMovePhase(pool, both.source.tenant_id, 'sealing')
      await retryCut(CUTS, async () => {
        await catchUp(ends)
        await announceHold(options, both.source.tenant_id, new Date(Date.now() + HOLD_MS))
        try {
          await sleep(ANNOUNCE_MS)
          await cutOver(ends, tables, both.target.server ?? '', () => options.at?.('held'))
          await options.at?.('sealed')
          await switchOver(both)
        } catch (fault) {
          await announceHold(options, both.source.tenant_id, null)
          throw fault
        }
      })
    })
  })
  // Done with the seal in the step before; here for whoever resumes after a death between the two.
  const switchStep = effect('switch', (both) => switchOver(both))
  const tidy: Step = {
    name: 'tidy',
    kind: 'effect',
    run: async (tenant) => {
      const both = await readBoth(options, tenant)
      await both.to.wake(both.target)
      await sleep(options.graceMs ?? GRACE_MS)
      await removeSource(both)
    },
  }

  return {
    steps: [choose, provision, copy, verify, cut, switchStep, tidy],
    succeed: async (change, tenant) => {
      const move = await findMove(change.tx, tenant.tenant_id)
      const from = provisionerOf(options, move.from_isolation)
      await from.release(change, { ...tenant, isolation: move.from_isolation, server: move.from_server })
    },
    cleanUp: async (tenant) => {
      const both = await readBoth(options, tenant)
      if (both.move.phase === 'switched' || both.move.to_server === null) return
      const seal = await withPostgres(both.from.connect(both.source), (source) =>
        readSeal(source, tenantSchemaName(tenant.tenant_id)),
      )
      await (seal === undefined ? removeTarget(both) : switchOver(both))
    },
    fail: async (change, tenant, isClean) => {
      const move = await findMove(change.tx, tenant.tenant_id)
      if (move.phase === 'switched') return setMoveLeftover(change.tx, tenant.tenant_id, 'from')
      // Only the source knows whether the tenant has left it: nothing is written before it could be asked.
      if (move.phase === 'sealing' && !isClean) throw new Error('The old server cannot be asked where the tenant is')
      if (!isClean) await setMoveLeftover(change.tx, tenant.tenant_id, 'to')
      else if (move.to_server !== null)
        await provisionerOf(options, move.to_isolation).release(change, {
          ...tenant,
          isolation: move.to_isolation,
          server: move.to_server,
        })
      await updateTenant(change, tenant.tenant_id, {
        ...(tenant.status === 'migrating' ? { status: 'active' } : {}),
        writes_held_until: null,
      })
    },
  }

  async function switchOver({ source, target }: Both): Promise<void> {
    await makeChange(pool, publish, async (change) => {
      const tenant = await lockAnyTenant(change, source.tenant_id)
      const move = await findMove(change.tx, source.tenant_id)
      if (move.phase === 'switched') return
      await updateTenant(change, source.tenant_id, {
        server: target.server,
        isolation: target.isolation,
        writes_held_until: null,
        ...(tenant.status === 'migrating' ? { status: 'active' } : {}),
      })
      await setMovePhase(change.tx, source.tenant_id, 'switched')
    })
  }
}

async function catchUp(ends: Ends): Promise<void> {
  for (;;) {
    const startedMs = performance.now()
    await sendMark(ends.source, ends.target, ends.move, CATCH_UP_MS)
    if (performance.now() - startedMs < NEAR_MS) return
  }
}

/** Tells gateways to let the tenant's writes wait until `until`, or no longer. */
async function announceHold({ pool, publish }: MoveOptions, tenantId: string, until: Date | null): Promise<void> {
  await makeChange(pool, publish, async (change: Change) => {
    await lockAnyTenant(change, tenantId)
    await updateTenant(change, tenantId, { writes_held_until: until })
  })
}
