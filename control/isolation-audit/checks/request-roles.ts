/** Serves requests on rows; becomes tenants' roles and nothing else. */
export const REQUEST_LOGIN = 'aerodb_request'
/** Owns the tenants' schemas and all that is in them. */
export const DDL_LOGIN = 'aerodb_ddl'
/** Reads the stream of changes for realtime: the one login that may replicate, and has no right on any object. */
export const REPLICATION_LOGIN = 'aerodb_replication'
export const REQUEST_ROLES = [REQUEST_LOGIN, DDL_LOGIN, REPLICATION_LOGIN] as const
/**
 * Applies the changes of tenants that move to this server (control/moving): no password, so nobody comes in as it; rights on
 * tables of tenants that are on their way only.
 */
export const MOVER = 'aerodb_mover'
