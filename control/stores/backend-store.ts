import { Problem } from '../../runtime/problem.ts'
import type { Queryable } from './change.ts'

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
