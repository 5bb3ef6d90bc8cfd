import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { examplesOf } from './examples.ts'
import { GROUPS, OPERATIONS, operationsOf } from './openapi.ts'
import { referencePage } from './reference.ts'
import { SAMPLES, WITHOUT_EXAMPLE } from './samples.ts'
import { workedInvoice } from './worked-invoice.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8')

test('every call of the platform API is on one page of the reference, with an example in three languages', () => {
  const shown = GROUPS.flatMap(operationsOf).map(({ name }) => name)
  expect(shown.sort()).toEqual(OPERATIONS.map(({ name }) => name).sort())
  for (const operation of OPERATIONS) {
    if (WITHOUT_EXAMPLE.has(operation.name)) continue
    const { curl, javascript, python } = examplesOf(operation)
    expect(curl).toMatch(/^curl /)
    expect(javascript).toContain('fetch(')
    expect(python).toContain('requests.')
  }
})

test('no sample is of a call that is gone, or names a query that the call does not have', () => {
  for (const [name, { query }] of Object.entries(SAMPLES)) {
    const operation = OPERATIONS.find((one) => one.name === name)
    expect(operation, name).toBeDefined()
    const known = operation?.parameters.filter((one) => one.in === 'query').map((one) => one.name)
    for (const parameter of Object.keys(query ?? {})) expect(known, name).toContain(parameter)
  }
})

test('what the document says is not read as markup', () => {
  for (const group of GROUPS) {
    const outside = referencePage(group).replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '')
    expect(outside).not.toMatch(/<[a-z/]|\{\{/i)
  }
})

test('the invoice that the pricing page works through is what the rating makes of it', () => {
  const [, table] = /<!-- worked invoice -->\n\n([\s\S]*?)\n+<!-- \/worked invoice -->/.exec(read('pricing.md')) ?? []
  expect(table).toBe(workedInvoice())
})
