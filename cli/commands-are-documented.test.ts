import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeProgram } from './program.ts'

type Node = { name: () => string; commands: readonly Node[] }

/** Every command that does something, as it is typed. */
function leaves(command: Node, path: readonly string[] = []): string[] {
  if (command.commands.length === 0) return [path.join(' ')]
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]))
}

const guide = readFileSync(join(import.meta.dirname, '../docs/cli.md'), 'utf8')
const examples = [...guide.matchAll(/^aerodb (.*)$/gm)].map(([, line = '']) => line.replace(/ <.*$/, ''))

test.each(examples)('the documented command parses: aerodb %s', async (line) => {
  let performed = 0
  const program = makeProgram(async () => {
    performed++
  })
  await program.parseAsync(line.split(' '), { from: 'user' })
  expect(performed).toBe(1)
})

test('every command is shown in the guide', () => {
  const shown = leaves(makeProgram(async () => {})).filter((path) =>
    examples.some((line) => `${line} `.startsWith(`${path} `)),
  )
  expect(shown).toEqual(leaves(makeProgram(async () => {})))
})
