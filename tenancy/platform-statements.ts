/**
 * Begins each statement by which the platform itself looks at a tenant's database. Control knows them by it, so that being
 * asked after and being measured do not keep a tenant's own server awake.
 */
export const PLATFORM_MARK = '/* aerodb:platform */'

/** By this a backend asks whether the database is there. */
export const HEALTH_STATEMENT = `${PLATFORM_MARK} select 1`
