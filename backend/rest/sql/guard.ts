import { randomBytes } from 'node:crypto'
import { RestError } from '../rest-error.ts'
import type { SqlBuilder } from './sql-builder.ts'

/** Known to this process only, so that no error text that a client provokes is taken for a guard's. */
const MARK = `aerodb-guard-${randomBytes(12).toString('hex')}`

export type GuardReason = 'PGRST115' | 'PGRST116' | 'PGRST124' | 'storage'

/**
 * An expression of type integer that ends the transaction: casting text that is no number. It carries the reason and the
 * value of `detail`, so that a condition can be checked in the same round trip as what it protects.
 */
export function renderGuard(builder: Pick<SqlBuilder, 'bind'>, reason: GuardReason, detail: string): string {
  return `cast(${builder.bind(`${MARK}:${reason}:`)}::text || ${detail} as integer)`
}

/** The guard that an error of Postgres came from, with its detail. */
export function readGuard(message: string): { reason: GuardReason; detail: string } | undefined {
  const start = message.indexOf(`${MARK}:`)
  if (start < 0) return undefined
  const [reason, rest = ''] = message.slice(start + MARK.length + 1).split(/:(.*)/s)
  return { reason: reason as GuardReason, detail: rest.replace(/"$/, '') }
}

/** The client's view of a guard that is about the rows of a request. */
export function guardError(reason: GuardReason, detail: string): RestError {
  switch (reason) {
    case 'PGRST115':
      return new RestError(400, 'PGRST115', 'Payload values do not match URL in primary key column(s)')
    case 'PGRST124':
      return new RestError(400, 'PGRST124', 'Query result exceeds max-affected preference constraint', {
        details: `The query affects ${detail} rows`,
      })
    default:
      return singularError(detail)
  }
}

/** More or fewer than one row for a client that asked for one object. */
export function singularError(count: string): RestError {
  return new RestError(406, 'PGRST116', 'JSON object requested, multiple (or no) rows returned', {
    details: `The result contains ${count} rows`,
  })
}
