import { objectsOfSchema } from '../../runtime/objects-of-schema.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Queryable } from '../stores/change.ts'

/**
 * Counted up whenever what is laid down for a tenant changes (here, or in `server-setup.ts` for servers of tenants' own): every
 * tenant is then provisioned once more (`reconciler/upgrades.ts`), while backends of the release before still serve.
 */
export const OBJECTS_VERSION = 1

/** Tables dropped by one statement at most: a drop holds a lock on each, and a server's lock table is bounded. */
const DROP_BATCH = 50

/**
 * Makes tenants' roles, and the request login able to become them, where that is not so already: what is there is not touched,
 * because each change of roles makes all connections forget what they know of them.
 * @param names of `tenantSchemaName`, so they can stand in SQL.
 */
export function makeTenantRolesSql(names: readonly string[]): string {
  return `
    do $$ declare name text; begin
      foreach name in array array['${names.join("','")}'] loop
        if not exists (select from pg_roles where rolname = name) then
          execute format('create role %I nologin noinherit nobypassrls', name);
        end if;
        if not exists (select from pg_auth_members
                       where roleid = name::regrole and member = 'aerodb_request'::regrole) then
          execute format('grant %I to aerodb_request with inherit false, set true, admin false', name);
        end if;
      end loop;
    end $$;`
}

/**
 * Lays down the first wall for a tenant: a role that can reach its own schema and nothing else, and a schema that belongs
 * to the schema API's login. The server's event trigger puts the second one (forced row level security) on each table.
 * One statement batch, one transaction, one round trip.
 */
export async function createTenantSchema(db: Queryable, tenantId: string): Promise<void> {
  const name = tenantSchemaName(tenantId)
  await db.query(`
    ${makeTenantRolesSql([name])}
    create schema if not exists ${name} authorization aerodb_ddl;
    grant usage on schema ${name} to ${name};
    alter default privileges for role aerodb_ddl in schema ${name}
      grant select, insert, update, delete on tables to ${name};
    alter default privileges for role aerodb_ddl in schema ${name} grant usage on sequences to ${name};
    alter default privileges for role aerodb_ddl in schema ${name} grant execute on functions to ${name};
    alter default privileges for role aerodb_ddl in schema ${name} grant usage on types to ${name}`)
}

/** Removes a tenant's schema with everything in it, and its role. */
export async function dropTenantSchema(db: Queryable, tenantId: string): Promise<void> {
  const name = tenantSchemaName(tenantId)
  for (;;) {
    const tables = await db.query<{ name: string }>(
      `select format('%I.%I', nspname, relname) as name
       from pg_class join pg_namespace namespace on namespace.oid = relnamespace
       where pg_class.oid = any ${objectsOfSchema('pg_class')} and relkind in ('r', 'p') and not relispartition limit $2`,
      [name, DROP_BATCH],
    )
    if (tables.rows.length === 0) break
    await db.query(`drop table if exists ${tables.rows.map((row) => row.name).join(', ')} cascade`)
  }
  await db.query(`
    drop schema if exists ${name} cascade;
    do $$ begin
      if exists (select from pg_roles where rolname = '${name}') then
        drop owned by ${name};
        drop role ${name};
      end if;
    end $$`)
}
