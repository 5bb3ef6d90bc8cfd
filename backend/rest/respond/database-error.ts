import type pg from 'pg'
import type { TenantRole } from '../../../tenancy/request-context.ts'
import { TENANT_COLUMN } from '../../catalogue/catalogue.ts'
import { PUBLIC_SCHEMA } from '../plan/names.ts'
import { RestError } from '../rest-error.ts'
import { guardError, readGuard } from '../sql/guard.ts'

/** PostgREST's statuses by SQLSTATE: exact codes first, then classes. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  '21000': 400,
  '23503': 409,
  '23505': 409,
  '25006': 405,
  '42883': 404,
  '42P01': 404,
  '42P17': 500,
  '53400': 500,
  '57P01': 503,
  P0001: 400,
}
const STATUS_BY_CLASS: Readonly<Record<string, number>> = {
  '08': 503,
  '09': 500,
  '0L': 403,
  '0P': 403,
  '25': 500,
  '28': 403,
  '2D': 500,
  '38': 500,
  '39': 500,
  '3B': 500,
  '40': 500,
  '53': 503,
  '54': 500,
  '55': 500,
  '57': 500,
  '58': 500,
  F0: 500,
  HV: 500,
  P0: 500,
  XX: 500,
}

/**
 * An error of Postgres as PostgREST shows it. What is ours (the tenant column, the schema's real name) is taken out of its
 * texts; a guard's error becomes what the guard stands for.
 */
export function fromDatabaseError(fault: pg.DatabaseError, schema: string, role: TenantRole): RestError {
  const guard = fault.code === '22P02' ? readGuard(fault.message) : undefined
  if (guard !== undefined) return guardError(guard.reason, guard.detail)
  const code = fault.code ?? 'XX000'
  const isForbidden = code === '42501'
  const status = isForbidden
    ? role === 'anon'
      ? 401
      : 403
    : (customStatus(code) ?? STATUS_BY_CODE[code] ?? STATUS_BY_CLASS[code.slice(0, 2)] ?? 400)
  const clean = (text: string | undefined) => cleanText(text, schema)
  return new RestError(status, code, clean(fault.message) ?? 'The database refused the request', {
    details: clean(fault.detail),
    hint: clean(fault.hint),
    ...(status === 401 ? { headers: { 'WWW-Authenticate': 'Bearer' } } : {}),
  })
}

/** `raise sqlstate 'PT402'` chooses the status. */
function customStatus(code: string): number | undefined {
  const match = /^PT([1-5]\d\d)$/.exec(code)
  return match === null ? undefined : Number(match[1])
}

function cleanText(text: string | undefined, schema: string): string | null {
  if (text === undefined || text === '') return null
  if (text.includes(TENANT_COLUMN)) return null
  return text.replaceAll(`${schema}.`, '').replaceAll(schema, PUBLIC_SCHEMA)
}
