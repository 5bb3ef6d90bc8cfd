import type { Change, Queryable } from './change.ts'
import { markTouched } from './outbox-store.ts'

/** A control process that did not say for so long that it lives is not believed to keep its backends. */
const EXPIRES_AFTER = `interval '20 seconds'`

/** Backends whose keeper lives, as a condition on `control.dedicated_backends`. */
export const IS_KEPT = `seen_at > now() - ${EXPIRES_AFTER}`

/** Notes where the backend of a cluster serves; the tenant's document leads gateways there from now on. */
export async function insertDedicatedBackend(
  change: Change,
  backend: { server: string; owner: string; url: string },
): Promise<void> {
  await change.tx.query(
    `insert into control.dedicated_backends (server, owner, url) values ($1, $2, $3)
     on conflict (server, owner) do update set url = excluded.url, seen_at = now()`,
    [backend.server, backend.owner, backend.url],
  )
  await touchTenantsOf(change, [backend.server])
}

/** Notes that the backend does not serve any more; gateways go to the shared ones, or to another control's. */
export async function deleteDedicatedBackend(change: Change, server: string, owner: string): Promise<void> {
  const gone = await change.tx.query('delete from control.dedicated_backends where server = $1 and owner = $2', [
    server,
    owner,
  ])
  if (gone.rowCount !== 0) await touchTenantsOf(change, [server])
}

/** Says that the backends of `owner` are kept. */
export async function keepDedicatedBackends(db: Queryable, owner: string): Promise<void> {
  await db.query('update control.dedicated_backends set seen_at = now() where owner = $1', [owner])
}

/** Forgets backends whose keeper was killed: they have ended with it. */
export async function expireDedicatedBackends(change: Change): Promise<void> {
  const gone = await change.tx.query<{ server: string }>(
    `delete from control.dedicated_backends where not (${IS_KEPT}) returning server`,
  )
  if (gone.rowCount !== 0)
    await touchTenantsOf(
      change,
      gone.rows.map(({ server }) => server),
    )
}

/** New versions of the documents of living tenants; what callers see of a tenant has not changed. */
async function touchTenantsOf(change: Change, servers: readonly string[]): Promise<void> {
  const touched = await change.tx.query<{ name: string; version: number }>(
    `update control.tenants set version = nextval('control.directory_version')
     where server = any($1) and status not in ('deleting', 'deleted', 'failed') returning name, version`,
    [servers],
  )
  for (const { name, version } of touched.rows) await markTouched(change, 'tenant', name, version)
}
