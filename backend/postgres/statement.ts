/** One SQL statement with its bound parameters (text format; `null` is SQL's null). */
export type Statement = {
  text: string
  values: readonly (string | null)[]
  /** Runs behind the statement whose rows are the transaction's outcome. */
  isEpilogue?: true
}

/** A result row as Postgres sent it, in text format. */
export type TextRow = readonly (string | null)[]

/** What the last statement of a transaction that is no epilogue gave. */
export type Outcome = { rows: readonly TextRow[]; affectedRows: number }
