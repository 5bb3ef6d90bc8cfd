import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isReleaseSince, readRelease } from '../runtime/release.ts'

/*
 * While a platform is upgraded programs of two releases work on one database, and who rolls back starts the older release on
 * what the newer one has migrated. So a migration only adds; what it takes away is what the release that it names did not use
 * any more. See docs/operations/upgrade.md and CONTRIBUTING.md.
 */

const ROOT = join(import.meta.dirname, '..')
/** Those of the first release: there is none before it that could run on them. */
const FIRST = { control: '0016_upgrades', metering: '0010_platform' } as const
const SERVICES = Object.keys(FIRST) as (keyof typeof FIRST)[]

type Migration = { name: string; sql: string; isFirst: boolean }

async function readMigrations(service: keyof typeof FIRST): Promise<Migration[]> {
  const directory = join(ROOT, service, 'migrations')
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file) => ({
      name: file.slice(0, -4),
      sql: await readFile(join(directory, file), 'utf8'),
      isFirst: file.slice(0, -4) <= FIRST[service],
    })),
  )
}

/** What a migration takes away from, or newly asks of, programs that do not know it. */
function breaking(sql: string): string[] {
  const statements = (sql.split('-- Down Migration')[0] ?? '').replaceAll(/--.*$/gm, '').split(';')
  const rules = [
    /\bdrop\s+(?:table|column|view|function|schema|sequence|type)\b/i,
    /\brename\b/i,
    /\balter\s+column\s+\S+\s+(?:set\s+data\s+)?type\b/i,
    /\bset\s+not\s+null\b/i,
    /\badd\s+column\b(?:(?!\bdefault\b|,).)*\bnot\s+null\b(?:(?!\bdefault\b|,).)*(?:,|$)/is,
  ]
  return statements.filter((text) => rules.some((rule) => rule.test(text))).map((text) => text.trim())
}

const released = async () =>
  [...(await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8')).matchAll(/^## \[(\d+\.\d+\.\d+)\]/gm)].map(
    ([, version = '']) => version,
  )

test('the rules know what would break an older program from what would not', () => {
  const broken = [
    'alter table a drop column b;',
    'drop table a;',
    'alter table a rename column b to c;',
    'alter table a alter column b type bigint;',
    'alter table a add column b int not null, add column c int;',
    'alter table a alter column b set not null;',
  ]
  expect(broken.filter((sql) => breaking(sql).length === 0)).toEqual([])
  const kept = [
    'create table a (b int not null);',
    'alter table a add column b int not null default 0, add column c text;',
    'create index on a (b);',
    '-- drop table a;',
    'create table a ();\n-- Down Migration\ndrop table a;',
  ]
  expect(kept.filter((sql) => breaking(sql).length > 0)).toEqual([])
})

test.each(SERVICES)(
  'every migration of %s says which releases run under it, and is one that the one before does',
  async (service) => {
    const versions = await released()
    const current = await readRelease()
    for (const { name, sql, isFirst } of await readMigrations(service)) {
      if (isFirst) continue
      const oldest = sql.match(/^-- Runs under release (\d+\.\d+\.\d+) or later\.$/m)?.[1]
      // Before the first release is out there is no older one.
      if (versions.length === 0) continue
      expect(oldest, `${name}: say "-- Runs under release X.Y.Z or later."`).toBeDefined()
      expect(versions, `${name} names a release`).toContain(oldest)
      expect(isReleaseSince(current, oldest ?? ''), name).toBe(true)
    }
  },
)

test.each(SERVICES)('a migration of %s that takes something away says who stopped using it', async (service) => {
  for (const { name, sql, isFirst } of await readMigrations(service)) {
    if (isFirst || breaking(sql).length === 0) continue
    expect(sql, `${name} takes away: ${breaking(sql).join('; ')}`).toMatch(/^-- Unused since release \d+\.\d+\.\d+\.$/m)
  }
})
