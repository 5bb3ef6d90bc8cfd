/**
 * The statement by which a backend asks a tenant's database whether it is there. Control knows it by this text, so that being
 * asked after does not keep a tenant's own server awake.
 */
export const HEALTH_STATEMENT = 'select 1 as aerodb_health'
