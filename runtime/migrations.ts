import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Logger } from './log.ts'
import { isReleaseSince, readRelease } from './release.ts'

/** The database was written by a newer release: going on could destroy what this one does not know. */
export class NewerDatabaseError extends Error {
  constructor(schema: string, unknown: readonly string[]) {
    super(
      `The schema "${schema}" was migrated by a newer release (${unknown.join(', ')}). Run that release or a newer one.`,
    )
    this.name = 'NewerDatabaseError'
  }
}

/**
 * The line by which a migration says which programs run on what it leaves: those of this release and later ones. Whoever wrote
 * it has seen to it that it takes nothing away that they use.
 */
const RUNS_UNDER = /^-- Runs under release (\d+\.\d+\.\d+) or later\.$/m

/**
 * Brings one schema of a database up to date from the `.sql` files of `directory` (node-pg-migrate: up and down sections,
 * an advisory lock, one transaction a file). Any number of replicas may call it at once. A schema that a newer release has
 * migrated is left as it is, and may be worked on, where its migrations say that this release runs under them.
 * @param options.release this program's; that of `package.json` unless given.
 * @throws NewerDatabaseError when the database knows a migration that this release does not have and does not run under.
 */
export async function migrate(options: {
  databaseUrl: string
  schema: string
  directory: string
  log: Logger
  release?: string
}): Promise<void> {
  const { databaseUrl, schema, directory, log } = options
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -4))
  const client = new pg.Client({ connectionString: databaseUrl, application_name: `aerodb-migrate-${schema}` })
  await client.connect()
  try {
    const unknown = await listUnknown(client, schema, new Set(files))
    if (unknown.length > 0) {
      const release = options.release ?? (await readRelease())
      const barred = unknown.filter(({ oldest }) => oldest === null || !isReleaseSince(release, oldest))
      if (barred.length > 0)
        throw new NewerDatabaseError(
          schema,
          barred.map(({ name }) => name),
        )
      log.warn(
        { schema, release, migrations: unknown.map(({ name }) => name) },
        'a newer release migrated the database',
      )
      return
    }
    await runner({
      dbClient: client,
      dir: `${directory}/*.sql`,
      useGlob: true,
      migrationsTable: 'migrations',
      schema,
      createSchema: true,
      migrationsSchema: schema,
      createMigrationsSchema: true,
      direction: 'up',
      advisoryLockMode: 'wait',
      count: Number.POSITIVE_INFINITY,
      logger: {
        debug: (message) => log.debug(message),
        info: (message) => log.debug(message),
        warn: (message) => log.warn(message),
        error: (message) => log.error(message),
      },
    })
    await noteReleases(client, schema, directory, files)
  } finally {
    await client.end()
  }
}

type Unknown = { name: string; oldest: string | null }

/** Migrations that were applied and that we do not have, with the oldest release that runs under each. */
async function listUnknown(client: pg.Client, schema: string, known: ReadonlySet<string>): Promise<Unknown[]> {
  const quoted = pg.escapeIdentifier(schema)
  const tables = await client.query<{ migrations: boolean; releases: boolean }>(
    'select to_regclass($1) is not null as migrations, to_regclass($2) is not null as releases',
    [`${quoted}.migrations`, `${quoted}.migration_releases`],
  )
  const [present] = tables.rows
  if (present?.migrations !== true) return []
  const oldest = present.releases
    ? `(select oldest from ${quoted}.migration_releases r where r.name = m.name)`
    : 'null::text'
  const applied = await client.query<Unknown>(
    `select m.name, ${oldest} as oldest from ${quoted}.migrations m order by 1`,
  )
  return applied.rows.filter(({ name }) => !known.has(name))
}

/** Keeps what migrations say of older releases where those can read it: they do not have the files. */
async function noteReleases(
  client: pg.Client,
  schema: string,
  directory: string,
  files: readonly string[],
): Promise<void> {
  const said: { name: string; oldest: string }[] = []
  for (const name of files) {
    const oldest = (await readFile(join(directory, `${name}.sql`), 'utf8')).match(RUNS_UNDER)?.[1]
    if (oldest !== undefined) said.push({ name, oldest })
  }
  if (said.length === 0) return
  const table = `${pg.escapeIdentifier(schema)}.migration_releases`
  // Replicas that come at once would make it at once: one after the other.
  await client.query(`begin; select pg_advisory_xact_lock(hashtextextended(${pg.escapeLiteral(`migration_releases:${schema}`)}, 0));
    create table if not exists ${table} (name text primary key, oldest text not null)`)
  await client.query(`insert into ${table} select * from unnest($1::text[], $2::text[]) on conflict do nothing`, [
    said.map(({ name }) => name),
    said.map(({ oldest }) => oldest),
  ])
  await client.query('commit')
}
