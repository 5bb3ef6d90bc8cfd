import { expect } from 'vitest'
import { auditServer } from '../audit-server.ts'
import { tenantOfSchema } from '../registered-tenants.ts'
import type { WalledServer } from './walled-server.ts'

/** Adds `count` tenants with three tables each: they cost no statement more, all pass, and one broken wall is found among them. */
export async function auditMany(server: WalledServer, count: number): Promise<void> {
  const audit = () =>
    auditServer({ name: 'shared-0', pool: server.pool }, (schema) => tenantOfSchema(schema, undefined))
  const few = await audit()
  await server.addTenants(count, 3)
  const clean = await audit()
  expect(clean.findings).toEqual([])
  expect(clean.schemas.size).toBe(few.schemas.size + count)
  expect(clean.tables).toBe(few.tables + 3 * count)
  expect(clean.statements).toBe(few.statements)
  expect(clean.statements).toBeLessThan(50)
  const [victim, intruder] = [...clean.schemas].slice(count / 2)
  await server.pool.query(
    `set event_triggers = off; alter table ${victim}.table_1 disable row level security; reset event_triggers`,
  )
  await server.pool.query(`grant usage on schema ${victim} to ${intruder}`)
  const broken = await audit()
  expect(broken.findings.map(({ code, tenant }) => [code, tenant?.tenant_id])).toEqual([
    ['rls_not_enabled', `ten_${victim?.slice(2)}`],
    ['grant_across_tenants', `ten_${victim?.slice(2)}`],
  ])
}
