import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Provisioner } from '../provisioners/provisioner.ts'
import type { Procedure, Step } from '../reconciler/procedures.ts'
import { findBlockers } from '../schema-objects/blockers.ts'
import { describeSchema, listTables } from '../schema-objects/read-schema.ts'
import { type Change, makeChange, type PublishTouched } from '../stores/change.ts'
import { findMove, type MoveRow, setMovePhase, setMoveTarget } from '../stores/move-store.ts'
import { findServer } from '../stores/server-store.ts'
import { lockAnyTenant, type TenantRow, updateTenant } from '../stores/tenant-store.ts'
import { admitMover, copyRows, dismissMover, makeParts } from './copy-schema.ts'
import { cutOver, type Ends, readSeal, retryCut, verifyFollower } from './cut-over.ts'
import { sendMark } from './marks.ts'
import {
  createSlot,
  isFollowing,
  publishSchema,
  replicationName,
  type StreamAddress,
  subscribe,
  unpublishSchema,
  unsubscribe,
} from './replication.ts'

export type MoveOptions = {
  pool: PostgresPool
  publish: PublishTouched
  provisioners: Partial<Record<Isolation, Provisioner>>
  sealer: Sealer
  log: Logger
}

/** From here on the target is near enough for a cut. */
const NEAR_MS = 250
const CATCH_UP_MS = 60_000
/** Gateways are told to let writes wait for so long, at most, and then have this long to hear of it. */
const HOLD_MS = 2_500
const ANNOUNCE_MS = 60
const CUTS = 10
/** After the switch every gateway has read the new snapshot, also where the announcement was lost (they ask every 2 s). */
const GRACE_MS = 3_000

type Both = { move: MoveRow; from: Provisioner; to: Provisioner; source: TenantRow; target: TenantRow }

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
      if (both.move.phase !== 'switched') await run(both)
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
    const seal = await withClient(from.connect(source), (client) =>
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
      await clear(both, ends)
      await fill(ends, replication, await findAddress(options, both))
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
          await cutOver(ends, tables, both.target.server ?? '')
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
      const { target, from, to, source } = both
      const name = replicationName(tenant.tenant_id)
      await to.wake(target)
      await withClient(to.connect(target), async (client) => {
        await unsubscribe(client, name)
        await dismissMover(client, tenantSchemaName(tenant.tenant_id))
      })
      await sleep(GRACE_MS)
      await withClient(from.connect(source), (client) =>
        unpublishSchema(client, tenantSchemaName(tenant.tenant_id), name),
      ).catch(
        // A source that is gone has nothing left to tidy; one that is away is tried again by `remove`.
        (fault) => options.log.warn({ err: fault, tenant_id: tenant.tenant_id }, 'the old server could not be tidied'),
      )
      await from.remove(source)
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
      await withClient(both.from.connect(both.source), async (source) => {
        const schema = tenantSchemaName(tenant.tenant_id)
        if ((await readSeal(source, schema)) !== undefined) {
          await switchOver(both)
          return
        }
        const name = replicationName(tenant.tenant_id)
        await withClient(both.to.connect(both.target), (target) => unsubscribe(target, name)).catch(() => {})
        await unpublishSchema(source, schema, name)
        await both.to.remove(both.target)
      })
    },
    fail: async (change, tenant, isClean) => {
      const move = await findMove(change.tx, tenant.tenant_id)
      if (move.phase === 'switched') return
      // Only the source knows whether the tenant has left it: nothing is written before it could be asked.
      if (move.phase === 'sealing' && !isClean) throw new Error('The old server cannot be asked where the tenant is')
      if (isClean && move.to_server !== null)
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

/** Tells gateways to let the tenant's writes wait until `until`, or no longer. */
async function announceHold({ pool, publish }: MoveOptions, tenantId: string, until: Date | null): Promise<void> {
  await makeChange(pool, publish, async (change: Change) => {
    await lockAnyTenant(change, tenantId)
    await updateTenant(change, tenantId, { writes_held_until: until })
  })
}

async function readBoth(options: MoveOptions, tenant: TenantRow): Promise<Both> {
  const move = await findMove(options.pool, tenant.tenant_id)
  return {
    move,
    from: provisionerOf(options, move.from_isolation),
    to: provisionerOf(options, move.to_isolation),
    source: { ...tenant, isolation: move.from_isolation, server: move.from_server },
    target: { ...tenant, isolation: move.to_isolation, server: move.to_server },
  }
}

function provisionerOf({ provisioners }: MoveOptions, isolation: Isolation): Provisioner {
  const provisioner = provisioners[isolation]
  if (provisioner === undefined)
    throw new Problem(409, 'isolation_not_available', { detail: `There is no ${isolation} isolation here.` })
  return provisioner
}

/** Before anything is made: what the target could not take. */
async function refuseBlocked({ move }: Both, { source, schema }: Ends): Promise<void> {
  const blockers = await findBlockers(source, schema, {
    isFromOwnServer: move.from_isolation !== 'schema',
    isToShared: move.to_isolation === 'schema',
  })
  if (blockers.length === 0) return
  const told = blockers.map(({ object, reason }) => `${object.replaceAll(`${schema}.`, '')}: ${reason}`)
  throw new Problem(409, 'move_blocked', { detail: `In the way of the move: ${told.join('; ')}.` })
}

/** Removes what an attempt that was cut off has left on both servers. */
async function clear({ to, target }: Both, ends: Ends): Promise<void> {
  await unsubscribe(ends.target, ends.move)
  await unpublishSchema(ends.source, ends.schema, ends.move)
  const made = await ends.target.query(
    `select from pg_depend d join pg_namespace n on n.oid = d.refobjid and n.nspname = $1
     where d.refclassid = 'pg_namespace'::regclass and d.classid <> 'pg_default_acl'::regclass limit 1`,
    [ends.schema],
  )
  if (made.rowCount === 0) return
  await ends.target.query(`drop schema ${ends.schema} cascade`)
  await to.provision(target)
}

/** The structure, then the rows as of the slot's first moment, then what hangs on them; last of all the target follows. */
async function fill(ends: Ends, replication: () => Promise<pg.Client>, address: StreamAddress) {
  const { source, schema, move } = ends
  await publishSchema(source, schema, move)
  const description = await describeSchema(source, schema)
  await makeParts(ends.target, description.beforeRows)
  await admitMover(ends.target, schema, description)
  const slots = await replication()
  try {
    const snapshot = await createSlot(slots, move)
    await copyRows(source, ends.target, schema, description.tables, snapshot)
  } finally {
    await slots.end()
  }
  await makeParts(ends.target, description.afterRows)
  await keepForRealtime(ends)
  await ends.target.query(`analyze`)
  await subscribe(ends.target, move, address)
}

/** Tables that somebody listens to are told of on the new server too, from the first change on. */
async function keepForRealtime({ source, target, schema }: Ends): Promise<void> {
  const listened = await source.query<{ sql: string }>(
    `select format('alter publication aerodb_realtime add table only %I.%I', schemaname, tablename) as sql
     from pg_publication_tables where pubname = 'aerodb_realtime' and schemaname = $1
     union all
     select format('alter table %I.%I replica identity full', n.nspname, c.relname) from pg_publication_rel r
     join pg_publication p on p.oid = r.prpubid and p.pubname = 'aerodb_realtime'
     join pg_class c on c.oid = r.prrelid and c.relreplident = 'f' join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1`,
    [schema],
  )
  for (const { sql } of listened.rows) await target.query(sql)
}

async function catchUp(ends: Ends): Promise<void> {
  for (;;) {
    const startedMs = performance.now()
    await sendMark(ends.source, ends.target, ends.move, CATCH_UP_MS)
    if (performance.now() - startedMs < NEAR_MS) return
  }
}

async function findAddress({ pool, sealer }: MoveOptions, { move }: Both): Promise<StreamAddress> {
  const row = await findServer(pool, move.from_server)
  if (row === undefined) throw new Error('The server to move from is not known')
  return {
    host: row.host,
    port: row.port,
    database: row.database,
    user: 'aerodb_replication',
    password: sealer.open(row.sealed_ddl_password, `server:${row.server}`),
  }
}

/**
 * Opens connections to both ends. One attempt at a time works on a move: another's, whose process lost its lease without
 * noticing, holds the lock on the source, and the seal is made on the connection that holds it.
 */
async function withEnds(both: Both, work: (ends: Ends, replication: () => Promise<pg.Client>) => Promise<void>) {
  const schema = tenantSchemaName(both.source.tenant_id)
  await withClient(both.from.connect(both.source), (holder) =>
    withClient(both.from.connect(both.source), (source) =>
      withClient(both.to.connect(both.target), async (target) => {
        await holder.query(`set lock_timeout = '20s'`)
        await holder.query(`select pg_advisory_lock(hashtextextended('aerodb.move-of:' || $1, 0))`, [schema])
        await holder.query(`set lock_timeout = 0`)
        await source.query(`set lock_timeout = '2s'; set search_path = ''`)
        await target.query(`set lock_timeout = '5s'; set search_path = ''`)
        const ends = { source, holder, target, schema, move: replicationName(both.source.tenant_id) }
        await work(ends, () => both.from.connect(both.source, { replication: true }))
      }),
    ),
  )
}

async function withClient<Result>(
  opening: Promise<pg.Client>,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await opening
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
