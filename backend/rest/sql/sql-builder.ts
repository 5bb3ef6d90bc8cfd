import { quoteIdentifier } from '../../postgres/quote.ts'

/** Collects the values that a statement binds and the aliases that it uses. The same plan always gives the same text. */
export class SqlBuilder {
  readonly values: (string | null)[] = []
  /** Which values are those of plain filters, by query parameter. */
  readonly slots: { at: number; parameter: number }[] = []
  readonly schema: string
  #aliases = 0

  constructor(schema: string) {
    this.schema = schema
  }

  /** Binds `value` and gives its placeholder: the only way in which anything from a request enters a statement. */
  bind(value: string | null, parameter?: number): string {
    if (parameter !== undefined) this.slots.push({ at: this.values.length, parameter })
    this.values.push(value)
    return `$${this.values.length}`
  }

  alias(): string {
    return `t${this.#aliases++}`
  }

  /** A table or type of the tenant's schema. */
  qualified(name: string): string {
    return `${quoteIdentifier(this.schema)}.${quoteIdentifier(name)}`
  }
}
