/**
 * What a custom policy says of a row: a condition over the row's columns and the caller's claims. A grammar of our own, so that
 * nothing of its text reaches SQL: names are quoted, values are literals, there are no functions, subqueries or other tables.
 *
 *     rule       = and ("or" and)*
 *     and        = not ("and" not)*
 *     not        = "not" not | "(" rule ")" | test
 *     test       = operand (compare operand | "is" ["not"] "null" | ["not"] "in" (claim | "(" literal ("," literal)* ")"))?
 *     compare    = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
 *     operand    = column | claim | literal | "now()" | "auth.uid()" | "auth.role()"
 *     claim      = "claims" ("." name)+            of the caller's JWT, such as claims.app_metadata.org
 *     literal    = 'text' | number | "true" | "false"
 *     column     = name | "quoted name"
 */
export type RowRule =
  | { kind: 'and' | 'or'; parts: readonly RowRule[] }
  | { kind: 'not'; rule: RowRule }
  | { kind: 'compare'; operator: Comparison; left: Operand; right: Operand }
  | { kind: 'null'; operand: Operand; negated: boolean }
  | { kind: 'in'; operand: Operand; values: readonly Literal[] | Claim; negated: boolean }
  | { kind: 'true'; operand: Operand }

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='
export type Literal = { kind: 'literal'; value: string | number | boolean }
export type Claim = { kind: 'claim'; path: readonly string[] }
export type Operand = { kind: 'column'; name: string } | Claim | Literal | { kind: 'now' }

const MAX_LENGTH = 2_000
const MAX_DEPTH = 16

/** Why a text is no rule, and where. */
export class RowRuleError extends Error {}

const TOKEN =
  /\s*(?:(?<text>'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*")|(?<number>-?\d{1,15}(?:\.\d{1,15})?(?![\p{L}\p{N}_]))|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<sign><=|>=|<>|!=|[=<>(),.]))/uy

type Token = { kind: 'text' | 'quoted' | 'number' | 'word' | 'sign'; text: string; at: number }

/** @throws RowRuleError. */
export function parseRowRule(text: string): RowRule {
  if (text.length > MAX_LENGTH) throw new RowRuleError(`is longer than ${MAX_LENGTH} characters`)
  // A zero byte would end SQL text on the wire; other control characters help nobody.
  if (/[^\P{Cc}\n\t]/u.test(text)) throw new RowRuleError('has control characters')
  return new RuleReader(readTokens(text)).readAll()
}

function readTokens(text: string): readonly Token[] {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  for (let at = 0; at < end; ) {
    TOKEN.lastIndex = at
    const groups = TOKEN.exec(text)?.groups
    const [kind, found] = Object.entries(groups ?? {}).find(([, value]) => value !== undefined) ?? []
    if (kind === undefined || found === undefined) throw new RowRuleError(`is not understood at character ${at + 1}`)
    tokens.push({ kind: kind as Token['kind'], text: found, at: TOKEN.lastIndex - found.length })
    at = TOKEN.lastIndex
  }
  return tokens
}

class RuleReader {
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  readAll(): RowRule {
    const rule = this.#rule()
    if (this.#next < this.#tokens.length) this.#fail('"and", "or" or the end')
    return rule
  }

  #rule(): RowRule {
    this.#depth += 1
    if (this.#depth > MAX_DEPTH) throw new RowRuleError('is nested too deeply')
    const rule = this.#joined('or', () => this.#joined('and', () => this.#not()))
    this.#depth -= 1
    return rule
  }

  #joined(kind: 'and' | 'or', read: () => RowRule): RowRule {
    const first = read()
    const parts = [first]
    while (this.#eat(kind)) parts.push(read())
    return parts.length === 1 ? first : { kind, parts }
  }

  #not(): RowRule {
    let negations = 0
    while (this.#eat('not')) negations += 1
    let rule: RowRule
    if (this.#eat('(')) {
      rule = this.#rule()
      this.#expect(')')
    } else rule = this.#test()
    return negations % 2 === 0 ? rule : { kind: 'not', rule }
  }

  #test(): RowRule {
    const left = this.#operand()
    const token = this.#peek()
    const operator = token?.kind === 'sign' ? COMPARISONS[token.text] : undefined
    if (operator !== undefined) {
      this.#next += 1
      return { kind: 'compare', operator, left, right: this.#operand() }
    }
    if (this.#eat('is')) {
      const negated = this.#eat('not')
      this.#expect('null')
      return { kind: 'null', operand: left, negated }
    }
    const negated = this.#eat('not')
    if (this.#eat('in')) return { kind: 'in', operand: left, values: this.#values(), negated }
    if (negated) this.#fail('"in"')
    return { kind: 'true', operand: left }
  }

  #values(): readonly Literal[] | Claim {
    if (!this.#eat('(')) {
      const claim = this.#operand()
      return claim.kind === 'claim' ? claim : this.#fail('a list of values or a claim')
    }
    const values: Literal[] = []
    do {
      const value = this.#operand()
      values.push(value.kind === 'literal' ? value : this.#fail('a value'))
    } while (this.#eat(','))
    this.#expect(')')
    return values
  }

  #operand(): Operand {
    const token = this.#peek()
    if (token === undefined) return this.#fail('a column, a claim or a value')
    this.#next += 1
    switch (token.kind) {
      case 'text':
        return { kind: 'literal', value: token.text.slice(1, -1).replaceAll("''", "'") }
      case 'number':
        return { kind: 'literal', value: Number(token.text) }
      case 'quoted':
        return { kind: 'column', name: token.text.slice(1, -1).replaceAll('""', '"') }
      case 'sign':
        this.#next -= 1
        return this.#fail('a column, a claim or a value')
      case 'word':
        return this.#word(token.text)
    }
  }

  #word(word: string): Operand {
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' }
    if (RESERVED.has(word)) {
      this.#next -= 1
      return this.#fail('a column, a claim or a value')
    }
    if (word === 'now' && this.#eat('(')) {
      this.#expect(')')
      return { kind: 'now' }
    }
    if (!this.#eat('.')) return { kind: 'column', name: word }
    const path = [this.#name()]
    if (word === 'auth') {
      this.#expect('(')
      this.#expect(')')
      const claim = path[0] === 'uid' ? 'sub' : path[0] === 'role' ? 'role' : undefined
      if (claim === undefined) throw new RowRuleError('knows auth.uid() and auth.role() only')
      return { kind: 'claim', path: [claim] }
    }
    if (word !== 'claims') throw new RowRuleError(`knows no "${word}.${path[0]}": write claims.${path[0]} or a column`)
    while (this.#eat('.')) path.push(this.#name())
    return { kind: 'claim', path }
  }

  #name(): string {
    const token = this.#peek()
    if (token?.kind !== 'word') return this.#fail('a name')
    this.#next += 1
    return token.text
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next]
  }

  #eat(text: string): boolean {
    const token = this.#peek()
    if (token === undefined || token.kind === 'text' || token.kind === 'quoted' || token.text !== text) return false
    this.#next += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#eat(text)) this.#fail(`"${text}"`)
  }

  #fail(expected: string): never {
    const token = this.#peek()
    throw new RowRuleError(
      token === undefined ? `ends where ${expected} is needed` : `needs ${expected} at character ${token.at + 1}`,
    )
  }
}

/** The columns that a rule names. */
export function columnsOf(rule: RowRule): ReadonlySet<string> {
  const names = new Set<string>()
  formatRowRule(rule, (column) => {
    names.add(column)
    return column
  })
  return names
}

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '=': '=',
  '!=': '<>',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
}
const RESERVED: ReadonlySet<string> = new Set(['and', 'or', 'not', 'is', 'in', 'null'])
const PLAIN_NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u

/** The rule as text that `parseRowRule` reads back to the same rule; `rename` gives columns their new names. */
export function formatRowRule(rule: RowRule, rename: (column: string) => string = (column) => column): string {
  const format = (one: RowRule) => formatRowRule(one, rename)
  const nested = (one: RowRule) => (one.kind === 'and' || one.kind === 'or' ? `(${format(one)})` : format(one))
  const operand = (one: Operand) => formatOperand(one, rename)
  switch (rule.kind) {
    case 'and':
    case 'or':
      return rule.parts.map(nested).join(` ${rule.kind} `)
    case 'not':
      return `not (${format(rule.rule)})`
    case 'compare':
      return `${operand(rule.left)} ${rule.operator} ${operand(rule.right)}`
    case 'null':
      return `${operand(rule.operand)} is ${rule.negated ? 'not ' : ''}null`
    case 'in': {
      const values = 'kind' in rule.values ? operand(rule.values) : `(${rule.values.map(operand).join(', ')})`
      return `${operand(rule.operand)} ${rule.negated ? 'not ' : ''}in ${values}`
    }
    case 'true':
      return operand(rule.operand)
  }
}

function formatOperand(operand: Operand, rename: (column: string) => string): string {
  switch (operand.kind) {
    case 'now':
      return 'now()'
    case 'claim':
      return ['claims', ...operand.path].join('.')
    case 'literal':
      return typeof operand.value === 'string' ? `'${operand.value.replaceAll("'", "''")}'` : String(operand.value)
    case 'column': {
      const name = rename(operand.name)
      const isPlain =
        PLAIN_NAME.test(name) && !RESERVED.has(name) && !['true', 'false', 'now', 'auth', 'claims'].includes(name)
      return isPlain ? name : `"${name.replaceAll('"', '""')}"`
    }
  }
}
