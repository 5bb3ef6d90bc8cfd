import { globSync, readFileSync } from 'node:fs'
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

/** Browsers sign in and out, Stripe tells of payments: nobody types that. */
const NOT_TYPED = ['POST /v1/session', 'DELETE /v1/session', 'POST /v1/stripe/webhook']

test('every call of the platform API has a command', () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
  const offered = read('../client/platform-api.ts')
    .split(/^ {2}(?="\/)/m)
    .slice(1)
    .flatMap((path) => {
      const name = /^"([^"]+)"/.exec(path)?.[1] ?? ''
      return [...path.matchAll(/^ {4}(get|put|post|patch|delete): /gm)].map(
        ([, verb = '']) => `${verb.toUpperCase()} ${name}`,
      )
    })
  const sources = globSync('{*,commands/*}.ts', { cwd: import.meta.dirname, exclude: ['*.test.ts'] })
    .map(read)
    .join('\n')
  const called = new Set(
    [...sources.matchAll(/\.(GET|PUT|POST|PATCH|DELETE)\('([^']+)'/g)].map(([, verb, name]) => `${verb} ${name}`),
  )
  expect(offered.length).toBeGreaterThan(50)
  expect(offered.filter((call) => !called.has(call) && !NOT_TYPED.includes(call))).toEqual([])
})
