import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, test } from 'vitest'
import { expectOffers } from './testing/expect-offers.ts'

const directory = mkdtempSync(join(tmpdir(), 'aerodb-completion-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Shells that a machine may not have: `npm run test:long` wants them. */
test.each(['zsh', 'fish'] as const)('%s offers what can follow', (shell) => expectOffers(shell, directory))
