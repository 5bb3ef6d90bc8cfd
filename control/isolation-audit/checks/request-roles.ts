/** Serves requests on rows; becomes tenants' roles and nothing else. */
export const REQUEST_LOGIN = 'aerodb_request'
/** Owns the tenants' schemas and all that is in them. */
export const DDL_LOGIN = 'aerodb_ddl'
export const REQUEST_ROLES = [REQUEST_LOGIN, DDL_LOGIN] as const
