import type { RequestContext, TenantRole } from '../../tenancy/request-context.ts'
import { quoteIdentifier } from './quote.ts'
import type { Statement } from './statement.ts'

/** On whose behalf a transaction runs, in the terms of the database. */
export type Principal = {
  tenantId: string
  /** The tenant's schema and its database role. */
  schema: string
  databaseRole: string
  role: TenantRole
  /** Names in a tenant's own functions and triggers are found in its schema: only where it can have any. */
  hasOwnSql: boolean
  /** JSON text for `request.jwt.claims`. */
  claims: string
}

const SET_CONTEXT = `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), \
set_config('app.role', $3, true), set_config('request.jwt.claims', $4, true)`

const SET_CONTEXT_AND_PATH = `${SET_CONTEXT}, set_config('search_path', $5, true)`

/**
 * The statement in front of every transaction. All that it sets is local to the transaction: at its end, however it ends, the
 * connection is nobody's again, and its own role may do nothing.
 */
export function contextStatement(principal: Principal): Statement {
  const values = [principal.databaseRole, principal.tenantId, principal.role, principal.claims]
  if (!principal.hasOwnSql) return { text: SET_CONTEXT, values }
  return { text: SET_CONTEXT_AND_PATH, values: [...values, quoteIdentifier(principal.schema)] }
}

/** The principal of a verified context that has a placement. */
export function principalOf(context: RequestContext, placement: { schema: string; role: string }): Principal {
  return {
    tenantId: context.tenant_id,
    schema: placement.schema,
    databaseRole: placement.role,
    role: context.role,
    hasOwnSql: context.isolation !== 'schema',
    claims: JSON.stringify({ ...context.claims, role: context.role }),
  }
}
