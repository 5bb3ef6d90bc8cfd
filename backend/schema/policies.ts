import { quoteIdentifier } from '../postgres/quote.ts'

/** What anon and authenticated may do with a collection's rows; service_role always may all, within its own tenant. */
export const POLICIES = ['none', 'owner', 'public_read'] as const
export type PolicyName = (typeof POLICIES)[number]
export type RowSecurity = { policy: PolicyName; ownerColumn: string | undefined }

/** Our permissive policies are named by this and the policy's name, which is how they are read back. */
const PREFIX = 'aerodb_'
const TENANT_WALL = `tenant_id = current_setting('app.tenant_id')`
const IS_SERVICE = `current_setting('app.role') = 'service_role'`
const IS_AUTHENTICATED = `current_setting('app.role') = 'authenticated'`
const SUBJECT = `(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')`

/** Types whose text form is what a JWT's `sub` holds. */
export const OWNER_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'uuid', 'integer', 'bigint', 'smallint'])

/**
 * The statements that put both row-level walls on a table: forced row security with the restrictive tenant policy, which is
 * ANDed to everything else, and permissive ones for the collection's policy. Without a permissive one nothing is allowed.
 */
export function renderRowSecurity(table: string, security: RowSecurity): readonly string[] {
  const policy = (name: string, command: string, using: string, check?: string) =>
    `create policy ${quoteIdentifier(name)} on ${table} for ${command}${command === 'insert' ? '' : ` using (${using})`}${check === undefined ? '' : ` with check (${check})`}`
  const statements = [
    `alter table ${table} enable row level security, force row level security`,
    `create policy tenant_isolation on ${table} as restrictive for all using (${TENANT_WALL}) with check (${TENANT_WALL})`,
  ]
  const name = `${PREFIX}${security.policy}`
  if (security.policy === 'none') return [...statements, policy(name, 'all', 'true', 'true')]
  const isOwner =
    security.ownerColumn === undefined
      ? undefined
      : `(${IS_AUTHENTICATED} and ${quoteIdentifier(security.ownerColumn)}::text = ${SUBJECT})`
  const mayWrite = isOwner === undefined ? IS_SERVICE : `${IS_SERVICE} or ${isOwner}`
  statements.push(policy(name, 'all', mayWrite, mayWrite))
  if (security.policy === 'public_read') statements.push(policy(`${PREFIX}public_read_rows`, 'select', 'true'))
  return statements
}

/** The policy that a table's permissive policies stand for. */
export function readPolicy(policyNames: readonly string[]): PolicyName | undefined {
  return POLICIES.find((policy) => policyNames.includes(`${PREFIX}${policy}`))
}
