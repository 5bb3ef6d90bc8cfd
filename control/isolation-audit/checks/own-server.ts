import type { CatalogueQuery } from '../finding.ts'

/**
 * What is true of a tenant's own server beside the rules of every server: nobody comes in but the administrator by its socket,
 * the backends' three logins, and the login of a cluster's standbys, all from this machine. It is what control lays down.
 */
export const OWN_SERVER_QUERIES: readonly CatalogueQuery[] = [
  {
    name: 'ports and sockets',
    sql: `select 'port_open' as code, null as schema, 'setting ' || name as object, format('%s = %s', name, setting) as what
      from pg_settings
      where name = 'listen_addresses' and setting <> all ('{127.0.0.1,localhost}')
        or name = 'unix_socket_permissions' and setting <> '0700'
          and current_setting('unix_socket_directories') <> ''`,
  },
  {
    name: 'who may come in',
    sql: `select 'authentication_wider' as code, null as schema, format('pg_hba.conf line %s', line_number) as object,
        concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address, auth_method) as what
      from pg_hba_file_rules
      where error is not null or auth_method not in ('reject', 'trust', 'password') and not coalesce(
        type = 'local' and user_name = '{postgres}' and auth_method = 'peer' and options = '{map=control}'
        or type = 'host' and address = '127.0.0.1' and netmask = '255.255.255.255' and auth_method = 'scram-sha-256'
          and (database = '{postgres}' and user_name <@ '{aerodb_request,aerodb_ddl,aerodb_replication}'
            or database = '{replication}' and user_name = '{aerodb_replica}'), false)
      union all
      select 'authentication_wider', null, format('pg_ident.conf line %s', line_number),
        coalesce(error, format('%s is %s', sys_name, pg_username))
      from (select *, count(*) over () as lines from pg_ident_file_mappings) mapping
      where error is not null or pg_username <> 'postgres' or map_name <> 'control' or lines > 1`,
  },
]
