import { Problem } from '../../runtime/problem.ts'
import type { Statement } from './statement.ts'

/*
 * A tenant that control moves to another server is cut over by one commit on the old one (control/moving): from then on the
 * old server refuses the tenant's role at its schema, and the schema's comment names the new server. So whoever comes with an
 * older context is refused before anything was done, asks, and goes on at the new one.
 */

/** SQLSTATE by which a server refuses to change a schema that is being moved (control/provisioners/server-setup.ts). */
export const MOVING_SQLSTATE = 'AD001'

const MOVED = 'aerodb: moved to '

/**
 * SQLSTATEs of statements that find no way into the schema: its rights are gone (42501), its names are passed over (42P01,
 * 42883), it is gone itself (3F000), or the role with it (22023).
 */
const NO_WAY_IN: ReadonlySet<unknown> = new Set(['42501', '42P01', '42883', '3F000', '22023'])

/** True for a refusal that is worth the question whether the tenant was moved. */
export function mayHaveMoved(fault: unknown): boolean {
  if (!(fault instanceof Error) || !('code' in fault) || !NO_WAY_IN.has(fault.code)) return false
  if (fault.code === '42501') return fault.message.startsWith('permission denied for schema')
  return fault.code !== '22023' || /^role ".*" does not exist$/.test(fault.message)
}

/** Asks the server that was left where the schema is now: one row and column, the schema's comment. */
export function askSeal(schema: string): Statement {
  return {
    text: `select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1`,
    values: [schema],
  }
}

/** The server that a seal names. */
export function readSeal(comment: string | null | undefined): string | undefined {
  return comment?.startsWith(MOVED) === true ? comment.slice(MOVED.length) : undefined
}

/** A change of the schema cannot be followed by the new server, so it has to wait until the move is over. */
export function schemaIsMoving(cause: unknown): Problem {
  return new Problem(503, 'tenant_migrating', {
    detail: 'The tables of this tenant cannot be changed while it is being moved. Rows can.',
    headers: { 'Retry-After': '5' },
    cause,
  })
}
