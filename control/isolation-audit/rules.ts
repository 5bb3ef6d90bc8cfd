import type { Severity } from './finding.ts'

export type Rule = { severity: Severity; promise: string; remedy: string }

const RE_RUN_SETUP = 'Restart control: it lays the server’s common walls down again on every start.'
const REVOKE = 'REVOKE it; look in the server’s log for who granted it.'

/**
 * Every rule of the audit: its stable code, the promise it stands for, and the way back to it. What `control/provisioners` lays
 * down and what the schema API makes is exactly what passes.
 */
export const RULES = {
  // The wall of rows.
  rls_not_enabled: {
    severity: 'critical',
    promise: 'Every table in a tenant’s schema has row level security enabled.',
    remedy: 'ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY.',
  },
  rls_not_forced: {
    severity: 'critical',
    promise: 'Row level security is forced, so that it holds for the tables’ owner too.',
    remedy: 'ALTER TABLE … FORCE ROW LEVEL SECURITY.',
  },
  tenant_policy_missing: {
    severity: 'critical',
    promise: 'Every table has the restrictive policy tenant_isolation, which no other policy can widen.',
    remedy:
      "CREATE POLICY tenant_isolation ON … AS RESTRICTIVE FOR ALL USING (tenant_id = current_setting('app.tenant_id')) WITH CHECK (the same).",
  },
  tenant_policy_wrong: {
    severity: 'critical',
    promise:
      'tenant_isolation is restrictive, for all commands and roles, and compares tenant_id for reading and writing.',
    remedy: 'Drop the policy and create it as every table has it.',
  },
  tenant_column_missing: {
    severity: 'critical',
    promise: 'Every row says whose it is, in tenant_id.',
    remedy: 'Find out who made the table outside the schema API; move its rows into a collection.',
  },
  tenant_column_wrong: {
    severity: 'critical',
    promise: 'tenant_id is text, not null, compared byte by byte, and filled from the request’s context.',
    remedy:
      "ALTER COLUMN tenant_id SET NOT NULL, SET DEFAULT current_setting('app.tenant_id'); a wrong type needs a new table.",
  },
  unwalled_relation: {
    severity: 'critical',
    promise: 'Nothing in a tenant’s schema holds rows that row level security cannot guard.',
    remedy: 'Drop the materialized view or foreign table; use a view with security_invoker.',
  },
  view_without_invoker: {
    severity: 'critical',
    promise: 'A view reads with the rights of who asks, not of its owner.',
    remedy: 'ALTER VIEW … SET (security_invoker = true).',
  },
  // The wall of roles.
  grant_to_public: {
    severity: 'critical',
    promise: 'Nothing of a tenant is granted to PUBLIC.',
    remedy: REVOKE,
  },
  grant_across_tenants: {
    severity: 'critical',
    promise: 'A tenant’s role reaches its own schema and no other.',
    remedy: REVOKE,
  },
  grant_to_stranger: {
    severity: 'critical',
    promise: 'No login and no other role has rights in a tenant’s schema; requests become the tenant’s role first.',
    remedy: REVOKE,
  },
  grant_excessive: {
    severity: 'high',
    promise:
      'A tenant’s role may select, insert, update and delete rows and use sequences, functions and types; it passes no right on.',
    remedy: REVOKE,
  },
  owner_wrong: {
    severity: 'high',
    promise: 'Everything in a tenant’s schema belongs to the schema API’s login, whom the second wall binds as well.',
    remedy: 'ALTER … OWNER TO aerodb_ddl.',
  },
  grant_outside_tenant_schemas: {
    severity: 'high',
    promise: 'Outside the tenants’ schemas PUBLIC and the roles of requests have nothing.',
    remedy: `${REVOKE} ${RE_RUN_SETUP}`,
  },
  grant_on_system_object: {
    severity: 'critical',
    promise: 'System functions and catalogues are granted as Postgres ships them.',
    remedy: REVOKE,
  },
  database_grant: {
    severity: 'high',
    promise: 'On the database PUBLIC has nothing, tenants’ roles nothing, and the two logins CONNECT.',
    remedy: `REVOKE ALL ON DATABASE … FROM PUBLIC. ${RE_RUN_SETUP}`,
  },
  other_database_reachable: {
    severity: 'high',
    promise: 'The logins of requests can connect to no other database of the server.',
    remedy: 'REVOKE CONNECT ON DATABASE … FROM PUBLIC.',
  },
  default_privileges_wrong: {
    severity: 'high',
    promise: 'What will be created is granted to its tenant’s role only.',
    remedy: 'ALTER DEFAULT PRIVILEGES … REVOKE it.',
  },
  default_privileges_missing: {
    severity: 'medium',
    promise: 'What will be created is reachable for its tenant, and its functions not for PUBLIC.',
    remedy: 'ALTER DEFAULT PRIVILEGES FOR ROLE aerodb_ddl … as control/provisioners does.',
  },
  role_attribute: {
    severity: 'critical',
    promise:
      'No role of the request path is superuser, bypasses row level security, replicates, or makes roles or databases.',
    remedy: 'ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOREPLICATION NOCREATEROLE NOCREATEDB.',
  },
  role_login: {
    severity: 'high',
    promise: 'Tenants’ roles cannot log in; the logins of requests do not inherit.',
    remedy: 'ALTER ROLE … NOLOGIN for a tenant’s role; NOINHERIT for a login.',
  },
  role_missing: {
    severity: 'medium',
    promise: 'Every tenant’s schema has its role, and the request login may become it.',
    remedy: 'Let control provision the tenant again; it is idempotent.',
  },
  membership_wrong: {
    severity: 'critical',
    promise:
      'Only the request login is a member of tenants’ roles, without inheriting or passing on; it and the tenants’ roles are members of nothing else.',
    remedy: 'REVOKE the membership; GRANT t_… TO aerodb_request WITH INHERIT FALSE, SET TRUE, ADMIN FALSE.',
  },
  role_setting: {
    severity: 'high',
    promise:
      'No role or database carries settings beyond resource limits: no search path, role or tenant that requests would share.',
    remedy: 'ALTER ROLE … RESET it.',
  },
  login_unknown: {
    severity: 'medium',
    promise: 'No login but ours can connect to the database.',
    remedy: 'REVOKE CONNECT, or drop the role; accept it by name where it is known (monitoring).',
  },
  // Holes beside both walls.
  security_definer_function: {
    severity: 'critical',
    promise: 'No function runs with its owner’s rights.',
    remedy: 'ALTER FUNCTION … SECURITY INVOKER, or drop it.',
  },
  unsafe_function: {
    severity: 'high',
    promise:
      'No function is leakproof by declaration, written in an untrusted language, or changes role, tenant or row security as it is called.',
    remedy: 'Drop it, or ALTER FUNCTION … NOT LEAKPROOF / RESET.',
  },
  foreign_key_across_schemas: {
    severity: 'critical',
    promise: 'No foreign key leads from one schema to another: it would tell what exists there.',
    remedy: 'ALTER TABLE … DROP CONSTRAINT.',
  },
  inheritance_across_schemas: {
    severity: 'critical',
    promise: 'No table inherits from, or is a partition of, one in another schema.',
    remedy: 'ALTER TABLE … NO INHERIT or DETACH PARTITION.',
  },
  reference_across_schemas: {
    severity: 'critical',
    promise: 'No view, policy, default, trigger or sequence of one schema uses what lies in another.',
    remedy: 'Drop what refers across.',
  },
  extension_not_reviewed: {
    severity: 'high',
    promise: 'Only extensions that were found to respect both walls are installed.',
    remedy: 'DROP EXTENSION, or review it and accept it by name.',
  },
  foreign_access: {
    severity: 'critical',
    promise: 'No foreign server or user mapping leads out of the database.',
    remedy: 'DROP SERVER … CASCADE.',
  },
  large_object: {
    severity: 'high',
    promise: 'No large objects exist: no wall of ours covers them.',
    remedy: 'Move what they hold to file storage, then SELECT lo_unlink(…).',
  },
  replication_open: {
    severity: 'high',
    promise:
      'No publication or subscription carries tenants’ rows elsewhere, but ours (aerodb_…) while a tenant moves.',
    remedy: 'DROP PUBLICATION / SUBSCRIPTION.',
  },
  event_trigger_wrong: {
    severity: 'high',
    promise:
      'The event triggers that force row level security on new tables are in place and enabled, and there are no others.',
    remedy: RE_RUN_SETUP,
  },
  server_setting: {
    severity: 'high',
    promise: 'The server’s settings do not weaken the walls.',
    remedy: 'ALTER SYSTEM RESET it, and SELECT pg_reload_conf().',
  },
  trust_authentication: {
    severity: 'critical',
    promise: 'Nobody connects without a secret.',
    remedy: 'Use scram-sha-256 in pg_hba.conf.',
  },
  authentication_wider: {
    severity: 'high',
    promise:
      'Into a tenant’s own server come its administrator by the socket, the backends’ logins and its standbys, from this machine; nobody else.',
    remedy: 'Take the line out of pg_hba.conf or pg_ident.conf, and SELECT pg_reload_conf().',
  },
  port_open: {
    severity: 'high',
    promise: 'A tenant’s own server listens on loopback only, and its socket is closed to other accounts.',
    remedy: 'Let control start the server again: it sets both.',
  },
  process_user: {
    severity: 'high',
    promise:
      'A tenant’s own server runs as the owner of its directory and, where the platform is root, as nobody else’s.',
    remedy:
      'Stop the server, chown its directory back to the user that control noted (os_uid), and let control start it.',
  },
  schema_name_unknown: {
    severity: 'medium',
    promise: 'Every schema named like a tenant’s is one.',
    remedy: 'Rename or drop it.',
  },
  // The platform around the server.
  schema_without_tenant: {
    severity: 'high',
    promise: 'Every tenant’s schema belongs to a tenant that has not been purged.',
    remedy: 'Purge it: data was promised to be gone. DROP SCHEMA … CASCADE; DROP ROLE ….',
  },
  tenant_without_schema: {
    severity: 'medium',
    promise: 'Every active schema tenant has its schema on the server that it is placed on.',
    remedy: 'Restore the server, or provision the tenant again.',
  },
  published_wrong: {
    severity: 'critical',
    promise:
      'Gateways and backends are told what control decided: whose a name is, where its data lies and as which role, which keys open it.',
    remedy:
      'Somebody else writes to Redis: close it, change its password, and delete the document; control publishes it again when it is restarted.',
  },
  context_unchecked: {
    severity: 'critical',
    promise:
      'A backend believes nobody but the gateway: who goes around it, with no context or a forged one, is refused.',
    remedy: 'Stop that backend: it is not ours, or not as released.',
  },
  file_mode: {
    severity: 'high',
    promise: 'Files with secrets or data are closed to other accounts of the machine.',
    remedy: 'chmod go-rwx.',
  },
  canary_leak: {
    severity: 'critical',
    promise: 'No answer to one tenant holds another’s data, and no key opens another tenant.',
    remedy: 'Stop serving and find out why: this was seen through the real gateway.',
  },
  check_failed: {
    severity: 'medium',
    promise: 'Every check of the audit could be made.',
    remedy: 'Run the audit as the server’s administrator, and look at the reason.',
  },
} as const satisfies Record<string, Rule>

export type RuleCode = keyof typeof RULES
