import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, test } from 'vitest'
import { expectOffers } from './testing/expect-offers.ts'

const directory = mkdtempSync(join(tmpdir(), 'aerodb-completion-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('bash offers what can follow', () => expectOffers('bash', directory))
