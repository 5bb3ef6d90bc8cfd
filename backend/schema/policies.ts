import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts'
import { formatRowRule, parseRowRule, type RowRule } from './row-rule.ts'
import { renderRowRule } from './row-rule-sql.ts'

/** What anon and authenticated may do with a collection's rows; service_role always may all, within its own tenant. */
export const POLICIES = ['none', 'owner', 'public_read', 'custom'] as const
export type PolicyName = (typeof POLICIES)[number]

/** Commands that a custom policy has rules for; without one only service_role may. */
export const RULED_COMMANDS = ['select', 'insert', 'update', 'delete'] as const
export type RuledCommand = (typeof RULED_COMMANDS)[number]
export type RowRules = Readonly<Partial<Record<RuledCommand, RowRule | undefined>>>

export type RowSecurity = { policy: PolicyName; ownerColumn: string | undefined; rules: RowRules }

/** Our permissive policies are named by this and the policy's name, which is how they are read back. */
const PREFIX = 'aerodb_'
const TENANT_WALL = `tenant_id = current_setting('app.tenant_id')`
const IS_SERVICE = `current_setting('app.role') = 'service_role'`
const IS_AUTHENTICATED = `current_setting('app.role') = 'authenticated'`
const SUBJECT = `(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')`

/** Types whose text form is what a JWT's `sub` holds. */
export const OWNER_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'uuid', 'integer', 'bigint', 'smallint'])

/** Every permissive policy of ours that a table may have. */
const OUR_POLICIES = [
  ...POLICIES.map((policy) => `${PREFIX}${policy}`),
  `${PREFIX}public_read_rows`,
  ...RULED_COMMANDS.map((command) => `${PREFIX}custom_${command}`),
]

/** A table of a tenant: its schema-qualified SQL text, and its own name. */
export type PolicyTable = { text: string; name: string }

/**
 * The statements that put both row-level walls on a table: forced row security with the restrictive tenant policy, which is
 * ANDed to everything else, and permissive ones for the collection's policy. Without a permissive one nothing is allowed.
 */
export function renderRowSecurity(table: PolicyTable, security: RowSecurity): readonly string[] {
  return [
    `alter table ${table.text} enable row level security, force row level security`,
    `create policy tenant_isolation on ${table.text} as restrictive for all using (${TENANT_WALL}) with check (${TENANT_WALL})`,
    ...renderPolicy(table, security),
  ]
}

/** The statements that give a table another policy; the tenant's wall stays as it is. */
export function renderPolicyChange(table: PolicyTable, security: RowSecurity): readonly string[] {
  return [
    ...OUR_POLICIES.map((name) => `drop policy if exists ${name} on ${table.text}`),
    ...renderPolicy(table, security),
  ]
}

function renderPolicy(table: PolicyTable, security: RowSecurity): readonly string[] {
  const policy = (name: string, command: string, using: string, check?: string) =>
    `create policy ${quoteIdentifier(name)} on ${table.text} for ${command}${command === 'insert' ? '' : ` using (${using})`}${check === undefined ? '' : ` with check (${check})`}`
  const name = `${PREFIX}${security.policy}`
  if (security.policy === 'none') return [policy(name, 'all', 'true', 'true')]
  if (security.policy === 'custom')
    return [
      policy(name, 'all', IS_SERVICE, IS_SERVICE),
      ...RULED_COMMANDS.flatMap((command) => {
        const rule = security.rules[command]
        if (rule === undefined) return []
        const condition = renderRowRule(table.name, rule)
        const isWrite = command === 'insert' || command === 'update'
        return [
          policy(`${PREFIX}custom_${command}`, command, condition, isWrite ? condition : undefined),
          renderRuleText(table, command, rule),
        ]
      }),
    ]
  const isOwner =
    security.ownerColumn === undefined
      ? undefined
      : `(${IS_AUTHENTICATED} and ${quoteIdentifier(security.ownerColumn)}::text = ${SUBJECT})`
  const mayWrite = isOwner === undefined ? IS_SERVICE : `${IS_SERVICE} or ${isOwner}`
  const statements = [policy(name, 'all', mayWrite, mayWrite)]
  if (security.policy === 'public_read') statements.push(policy(`${PREFIX}public_read_rows`, 'select', 'true'))
  return statements
}

/** The rule as its author wrote it is kept as the policy's comment, from where it is read back. */
function renderRuleText(table: PolicyTable, command: RuledCommand, rule: RowRule): string {
  return `comment on policy ${PREFIX}custom_${command} on ${table.text} is ${quoteLiteral(formatRowRule(rule))}`
}

/** The statements that give the rules' texts a column's new name; Postgres itself follows a renamed column. */
export function renderRuleRenames(
  table: PolicyTable,
  rules: RowRules,
  rename: (column: string) => string,
): readonly string[] {
  return RULED_COMMANDS.flatMap((command) => {
    const rule = rules[command]
    return rule === undefined ? [] : [renderRuleText(table, command, parseRowRule(formatRowRule(rule, rename)))]
  })
}

/** Reads rules back from the policies' comments. */
export function readRules(comments: Readonly<Record<string, string | null>>): Partial<Record<RuledCommand, string>> {
  const rules: Partial<Record<RuledCommand, string>> = {}
  for (const command of RULED_COMMANDS) {
    const text = comments[`${PREFIX}custom_${command}`]
    if (text != null) rules[command] = text
  }
  return rules
}

/** The policy that a table's permissive policies stand for. */
export function readPolicy(policyNames: readonly string[]): PolicyName | undefined {
  return POLICIES.find((policy) => policyNames.includes(`${PREFIX}${policy}`))
}
