import { readdir } from 'node:fs/promises'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Logger } from './log.ts'

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
 * Brings one schema of a database up to date from the `.sql` files of `directory` (node-pg-migrate: up and down sections,
 * an advisory lock, one transaction a file). Any number of replicas may call it at once.
 * @throws NewerDatabaseError when the database knows a migration that this release does not have.
 */
export async function migrate(options: {
  databaseUrl: string
  schema: string
  directory: string
  log: Logger
}): Promise<void> {
  const { databaseUrl, schema, directory, log } = options
  const known = new Set(
    (await readdir(directory)).filter((file) => file.endsWith('.sql')).map((file) => file.slice(0, -4)),
  )
  const client = new pg.Client({ connectionString: databaseUrl, application_name: `aerodb-migrate-${schema}` })
  await client.connect()
  try {
    const table = await client.query<{ present: boolean }>('select to_regclass($1) is not null as present', [
      `${schema}.migrations`,
    ])
    if (table.rows[0]?.present === true) {
      const applied = await client.query<{ name: string }>(`select name from ${pg.escapeIdentifier(schema)}.migrations`)
      const unknown = applied.rows.map((row) => row.name).filter((name) => !known.has(name))
      if (unknown.length > 0) throw new NewerDatabaseError(schema, unknown)
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
  } finally {
    await client.end()
  }
}
