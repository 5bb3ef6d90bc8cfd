import type { RequestContext, TenantRole } from '../../tenancy/request-context.ts'
import type { Statement } from './statement.ts'

/** On whose behalf a transaction runs, in the terms of the database. */
export type Principal = {
  tenantId: string
  /** The tenant's schema and its database role. */
  schema: string
  databaseRole: string
  role: TenantRole
  /** JSON text for `request.jwt.claims`. */
  claims: string
}

const SET_CONTEXT = `select set_config('role', $1, true), set_config('app.tenant_id', $2, true), \
set_config('app.role', $3, true), set_config('request.jwt.claims', $4, true)`

/**
 * The statement in front of every transaction. All that it sets is local to the transaction: at its end, however it ends, the
 * connection is nobody's again, and its own role may do nothing.
 */
export function contextStatement(principal: Principal): Statement {
  return {
    text: SET_CONTEXT,
    values: [principal.databaseRole, principal.tenantId, principal.role, principal.claims],
  }
}

/** The principal of a verified context that has a placement. */
export function principalOf(context: RequestContext, placement: { schema: string; role: string }): Principal {
  return {
    tenantId: context.tenant_id,
    schema: placement.schema,
    databaseRole: placement.role,
    role: context.role,
    claims: JSON.stringify({ ...context.claims, role: context.role }),
  }
}
