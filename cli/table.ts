import { stripVTControlCharacters, styleText } from 'node:util'
import stringWidth from 'string-width'

export type Column<Row> = { title: string; of: (row: Row) => string; isNumber?: boolean }

/** Text of others as it may reach a terminal: one line, without control characters or escape sequences. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not reach a terminal.
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ')
}

/** Rows under titles, aligned; numbers to the right. */
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], emptyText: string): string {
  if (rows.length === 0) return `${emptyText}\n`
  const cells = rows.map((row) => columns.map((column) => plain(column.of(row))))
  const widths = columns.map((column, i) =>
    Math.max(stringWidth(column.title), ...cells.map((line) => stringWidth(line[i] ?? ''))),
  )
  const renderLine = (line: readonly string[]) =>
    line
      .map((cell, i) => {
        const padding = ' '.repeat((widths[i] ?? 0) - stringWidth(cell))
        return columns[i]?.isNumber === true ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  const title = styleText('bold', renderLine(columns.map((column) => column.title)), { stream: process.stdout })
  return `${[title, ...cells.map(renderLine)].join('\n')}\n`
}

/** Facts by name, one a line; what is `undefined` is left out. */
export function renderFacts(facts: Readonly<Record<string, string | undefined>>): string {
  const known = Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const width = Math.max(0, ...known.map(([name]) => name.length))
  return known.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}\n`).join('')
}
