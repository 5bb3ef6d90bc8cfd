import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import packageFile from '../package.json' with { type: 'json' }
import { KINDS_OF_CHANGE, releaseChangelog } from './changelog.ts'

const changelog = readFileSync(join(import.meta.dirname, '..', 'CHANGELOG.md'), 'utf8')

test('the changelog has the headings of Keep a Changelog, and its newest release is the version of the package', () => {
  const [first, ...releases] = [...changelog.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
  expect(first).toBe('[Unreleased]')
  for (const heading of releases) expect(heading).toMatch(/^\[\d+\.\d+\.\d+(-[\w.]+)?\] - \d{4}-\d\d-\d\d$/)
  if (releases[0] !== undefined) expect(releases[0]).toContain(`[${packageFile.version}]`)
  for (const [, kind] of changelog.matchAll(/^### (.*)$/gm)) expect(KINDS_OF_CHANGE).toContain(kind)
})

test('a release takes what was unreleased under its own heading, once, and never nothing', () => {
  const before = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A.\n\n## [0.1.0] - 2026-11-01\n\n- Old.\n'
  const after = releaseChangelog(before, '0.2.0', '2026-11-26')
  expect(after).toBe(
    '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-26\n\n### Added\n\n- A.\n\n## [0.1.0] - 2026-11-01\n\n- Old.\n',
  )
  expect(() => releaseChangelog(after, '0.3.0', '2026-11-27')).toThrow('nothing')
  expect(() => releaseChangelog(before, '0.1.0', '2026-11-27')).toThrow('already')
  expect(() => releaseChangelog('# Changelog\n', '0.2.0', '2026-11-26')).toThrow('heading')
})
