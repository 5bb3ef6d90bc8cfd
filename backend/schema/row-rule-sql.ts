import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts'
import type { Claim, Operand, RowRule } from './row-rule.ts'

const CLAIMS = `(nullif(current_setting('request.jwt.claims', true), '')::jsonb`

/**
 * The rule as a boolean SQL expression for a policy of `table`. Claims are texts, and a column that is compared with one is compared
 * as text, so that no claim can make a request fail by what it holds. `in` with a claim looks into the claim's list.
 */
export function renderRowRule(table: string, rule: RowRule): string {
  const render = (one: RowRule) => renderRowRule(table, one)
  const value = (one: Operand) => renderOperand(table, one)
  switch (rule.kind) {
    case 'and':
    case 'or':
      return `(${rule.parts.map(render).join(` ${rule.kind} `)})`
    case 'not':
      return `(not ${render(rule.rule)})`
    case 'compare': {
      const isText = rule.left.kind === 'claim' || rule.right.kind === 'claim'
      const side = (one: Operand) => (isText ? asText(table, one) : value(one))
      return `(${side(rule.left)} ${rule.operator} ${side(rule.right)})`
    }
    case 'null':
      return `(${value(rule.operand)} is ${rule.negated ? 'not ' : ''}null)`
    case 'in': {
      const not = rule.negated ? 'not ' : ''
      if ('kind' in rule.values) return `(${not}${claimAt(rule.values, '#>')} ? ${asText(table, rule.operand)})`
      const isText = rule.operand.kind === 'claim'
      const list = rule.values.map((one) => (isText ? asText(table, one) : value(one)))
      return `(${isText ? asText(table, rule.operand) : value(rule.operand)} ${not}in (${list.join(', ')}))`
    }
    case 'true':
      return rule.operand.kind === 'claim' ? `(${asText(table, rule.operand)} = 'true')` : `(${value(rule.operand)})`
  }
}

function asText(table: string, operand: Operand): string {
  return operand.kind === 'claim' ? claimAt(operand, '#>>') : `(${renderOperand(table, operand)})::text`
}

function renderOperand(table: string, operand: Operand): string {
  switch (operand.kind) {
    case 'column':
      return `${quoteIdentifier(table)}.${quoteIdentifier(operand.name)}`
    case 'claim':
      return claimAt(operand, '#>>')
    case 'now':
      return 'pg_catalog.now()'
    case 'literal':
      return typeof operand.value === 'string' ? quoteLiteral(operand.value) : String(operand.value)
  }
}

function claimAt({ path }: Claim, arrow: '#>' | '#>>'): string {
  return `${CLAIMS} ${arrow} ${quoteLiteral(`{${path.map((key) => `"${key}"`).join(',')}}`)})`
}
