import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

/**
 * Makes an empty database on the run's Postgres and passes its administrator's URL; drops it afterwards, and fails when a
 * connection to it is still open (a leaked pool).
 */
export async function withDatabase<Result>(work: (url: string) => Promise<Result>): Promise<Result> {
  const database = await createDatabase()
  try {
    return await work(database.url)
  } finally {
    await database.drop()
  }
}

export async function createDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const adminUrl = inject('postgresUrl')
  await asAdmin(adminUrl, (client) => client.query(`create database ${name}`))
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    drop: async () => {
      await asAdmin(adminUrl, async (client) => {
        const open = await client.query<{ application_name: string }>(
          'select application_name from pg_stat_activity where datname = $1',
          [name],
        )
        await client.query(`drop database ${name} with (force)`)
        if (open.rowCount !== 0)
          throw new Error(`Connections were left open: ${open.rows.map((row) => row.application_name).join(', ')}`)
      })
    },
  }
}

async function asAdmin(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
