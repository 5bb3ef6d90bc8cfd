import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listMigrations, type Migration, readReleased } from './released-migrations.ts'

/*
 * While a platform is upgraded programs of two releases work on one database, and who rolls back starts the older release on
 * what the newer one has migrated. So a migration only adds; what it takes away is what the release that it names did not use
 * any more. See docs/operations/upgrade.md and CONTRIBUTING.md.
 */

const ROOT = join(import.meta.dirname, '..')

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

/** Migrations that no release has yet. Those of the very first release have none before it that could run under them. */
async function listNew(): Promise<Migration[]> {
  const known = await readReleased()
  return Object.keys(known).length === 0 ? [] : (await listMigrations()).filter(({ name }) => !(name in known))
}

test('a migration that a release has brought to databases is there for ever, as it was', async () => {
  const now = new Map((await listMigrations()).map(({ name, sha256 }) => [name, sha256]))
  for (const [name, sha256] of Object.entries(await readReleased())) expect(now.get(name), name).toBe(sha256)
})

test('every new migration says which releases run under it: the one before does', async () => {
  const versions = await released()
  for (const { name, sql } of await listNew()) {
    const oldest = sql.match(/^-- Runs under release (\d+\.\d+\.\d+) or later\.$/m)?.[1]
    expect(oldest, `${name}: say "-- Runs under release X.Y.Z or later."`).toBeDefined()
    expect(versions, `${name} names a release that is out`).toContain(oldest)
  }
})

test('a new migration that takes something away says since when nobody uses it', async () => {
  for (const { name, sql } of await listNew())
    if (breaking(sql).length > 0)
      expect(sql, `${name} takes away: ${breaking(sql).join('; ')}`).toMatch(
        /^-- Unused since release \d+\.\d+\.\d+\.$/m,
      )
})
