import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import { eventually } from '../testing/eventually.ts'
import { startTestControl, type TestControl } from '../testing/start-control.ts'
import { startDoomedControl } from '../testing/start-doomed.ts'
import { startWorld, type World, withClient } from '../testing/world.ts'

/*
 * After a release tenants' objects are upgraded one after the other; an older state is made here by hand, as a tenant of the
 * release before would have it. (That the tables behind files are upgraded too is told in test/acceptance/upgrade.test.ts.)
 */

const COUNT = 24

let world: World
let control: TestControl
let dataDir: string
const children: ChildProcess[] = []
const schemas: string[] = []

beforeAll(async () => {
  world = await startWorld()
  dataDir = await mkdtemp(join(tmpdir(), 'aerodb-upgrades-'))
  await chmod(dataDir, 0o711)
  control = await start()
  for (let i = 0; i < COUNT; i++) {
    const created = await control.call('POST', '/v1/tenants', { body: { name: `old-${i}`, plan: 'pro' } })
    expect(created.status).toBe(201)
    schemas.push(tenantSchemaName(created.body.tenant_id))
  }
})

afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await control?.stop()
  await world.stop()
  await rm(dataDir, { recursive: true, force: true })
})

function start(options: Partial<Parameters<typeof startTestControl>[0]> = {}) {
  return startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
    ...options,
    overrides: { AERODB_DATA_DIR: dataDir },
  })
}

/** As the release before had it: without a right that this one grants. */
async function makeOld(): Promise<void> {
  await withClient(world.sharedUrl, async (client) => {
    for (const schema of schemas)
      await client.query(
        `alter default privileges for role aerodb_ddl in schema ${schema} revoke usage on sequences from ${schema}`,
      )
  })
  await withClient(world.databaseUrl, (client) => client.query('update control.tenants set objects_version = 0'))
}

/** Tenants that have the right. */
async function countUpgraded(): Promise<number> {
  return withClient(world.sharedUrl, async (client) => {
    const found = await client.query(
      `select from pg_default_acl d join pg_namespace n on n.oid = defaclnamespace
       where nspname = any($1) and defaclobjtype = 'S' and defaclacl::text like '%' || nspname || '=U%'`,
      [schemas],
    )
    return found.rowCount ?? 0
  })
}

const progress = async () => (await control.call('GET', '/v1/upgrades')).body

test('all tenants are upgraded while they serve, by whoever comes next when one is killed in the middle, and the progress can be read', async () => {
  expect(await progress()).toMatchObject({
    target: { objects_version: 1, tables_version: null },
    tenants: { total: COUNT, current: COUNT, due: 0, failed: 0 },
  })
  await control.stop({ keepData: true })
  await makeOld()
  expect(await countUpgraded()).toBe(0)
  const { child } = await startDoomedControl(control, world, 'upgrade:tenant', children)
  if (child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
  const afterKill = await countUpgraded()
  expect(afterKill).toBeGreaterThan(0)
  expect(afterKill).toBeLessThan(COUNT)

  control = await start({ ownerKey: control.ownerKey })
  await eventually(async () => expect((await progress()).tenants).toMatchObject({ current: COUNT, due: 0 }))
  expect(await countUpgraded()).toBe(COUNT)
})

test('a tenant that cannot be upgraded is named with the reason, and holds up nobody', async () => {
  const [broken = ''] = schemas
  await withClient(world.sharedUrl, (client) =>
    client.query(`create function public.refuse() returns event_trigger language plpgsql as
      $$ begin if (select string_agg(coalesce(object_identity, ''), ' ') from pg_event_trigger_ddl_commands()) like '%${broken}%'
         then raise exception 'not this one'; end if; end $$;
      create event trigger refuse on ddl_command_end execute function public.refuse()`),
  )
  await withClient(world.sharedUrl, (client) => client.query(`drop schema ${broken} cascade`))
  await withClient(world.databaseUrl, (client) => client.query('update control.tenants set objects_version = 0'))
  await eventually(async () => {
    const { tenants, failures } = await progress()
    expect(tenants).toMatchObject({ current: COUNT - 1, failed: 1, due: 0 })
    expect(failures).toMatchObject([{ name: 'old-0', error: 'not this one' }])
  })
})
