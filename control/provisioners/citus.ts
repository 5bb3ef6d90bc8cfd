import type { Queryable } from '../stores/change.ts'

/**
 * Refuses a Citus coordinator that would put tenants' schemas on its workers (schema-based sharding). Policies there ask for
 * `app.tenant_id`, which is set by `set_config` in the round trip of each request, and Citus takes along `SET LOCAL` only
 * (`citus.propagate_set_commands`): on a worker the context is missing, and every tenant would see nothing of its own. With that
 * sharding off (Citus' default) tenants' tables lie on the coordinator, which is then a server like any other.
 * @throws Error that says what to set.
 */
export async function refuseSchemaSharding(db: Queryable, server: string): Promise<void> {
  const result = await db.query<{ is_sharded: boolean }>(
    `select coalesce(current_setting('citus.enable_schema_based_sharding', true), 'off') in ('on', 'true', 'yes', '1') as is_sharded`,
  )
  if (result.rows[0]?.is_sharded === true)
    throw new Error(
      `${server} is a Citus coordinator with schema-based sharding on, where the context of requests does not reach the policies: set citus.enable_schema_based_sharding to off for its database`,
    )
}
