/** One SQL statement with its bound parameters (text format; `null` is SQL's null). */
export type Statement = { text: string; values: readonly (string | null)[] }

/** A result row as Postgres sent it, in text format. */
export type TextRow = readonly (string | null)[]

/** What the last statement of a transaction gave. */
export type Outcome = { rows: readonly TextRow[]; affectedRows: number }
