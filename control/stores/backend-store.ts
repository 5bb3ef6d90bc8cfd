import { makeId } from '../../runtime/ids.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Change, Queryable } from './change.ts'

export type BackendRow = { backend_id: string; name: string; url: string; pipelining: number; created_at: Date }

/**
 * Holds a registered backend to the end of the transaction, so that it is not removed while a tenant is placed on it.
 * @throws Problem 400 naming the field when no backend of this name is registered.
 */
export async function requireBackend(db: Queryable, name: string): Promise<void> {
  const result = await db.query('select 1 from control.backends where name = $1 for key share', [name])
  if (result.rowCount !== 1)
    throw new Problem(400, 'validation_failed', {
      detail: 'There is no such backend.',
      errors: [{ path: 'backend', message: 'must name a registered backend' }],
    })
}

export async function insertBackend(
  change: Change,
  backend: Pick<BackendRow, 'name' | 'url' | 'pipelining'>,
): Promise<BackendRow> {
  const result = await change.tx.query<BackendRow>(
    `insert into control.backends (backend_id, name, url, pipelining) values ($1, $2, $3, $4)
     on conflict (name) do nothing returning *`,
    [makeId('be'), backend.name, backend.url, backend.pipelining],
  )
  const row = result.rows[0]
  if (row === undefined) throw new Problem(409, 'name_taken', { detail: 'Another backend has this name.' })
  return row
}

/** Backends, newest first, after the id `before`. */
export async function listBackends(
  db: Queryable,
  page: { before?: string | undefined; limit: number },
): Promise<BackendRow[]> {
  const result = await db.query<BackendRow>(
    'select * from control.backends where ($1::text is null or backend_id < $1) order by backend_id desc limit $2',
    [page.before ?? null, page.limit],
  )
  return result.rows
}

/** Removes a backend, named by id or name. @throws Problem 409 while tenants are placed on it. */
export async function deleteBackend(change: Change, idOrName: string): Promise<BackendRow | undefined> {
  const found = await change.tx.query<BackendRow>(
    'select * from control.backends where backend_id = $1 or name = $1 for update',
    [idOrName],
  )
  const row = found.rows[0]
  if (row === undefined) return undefined
  const used = await change.tx.query('select 1 from control.tenants where backend = $1 limit 1', [row.name])
  if (used.rowCount !== 0)
    throw new Problem(409, 'backend_in_use', { detail: 'Tenants are placed on this backend: move them first.' })
  await change.tx.query('delete from control.backends where backend_id = $1', [row.backend_id])
  return row
}
