import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const services = '{gateway,control,backend,metering,tenancy,runtime}/**/*.ts'

test('the list of error codes names each status and code that the source throws, and no other', () => {
  const thrown = globSync(services, { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => [...readFileSync(join(root, file), 'utf8').matchAll(/new Problem\((\d{3}), '([a-z_]+)'/g)])
    .map(([, status, code]) => `${status} ${code}`)
  const rows = readFileSync(join(root, 'docs/error-codes.md'), 'utf8').matchAll(/^\| (\d{3}) \| (.*) \|$/gm)
  const listed = [...rows].flatMap(([, status, codes = '']) =>
    [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code]) => `${status} ${code}`),
  )
  expect(listed.toSorted()).toEqual([...new Set(thrown)].toSorted())
})
