import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
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
        const open = await openConnections(client, name)
        await client.query(`drop database ${name} with (force)`)
        if (open.length > 0) throw new Error(`Connections were left open: ${open.join(', ')}`)
      })
    },
  }
}

/** Who still holds a connection; a client that has just ended may be there for a moment yet. */
async function openConnections(client: pg.Client, database: string): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const { rows } = await client.query<{ application_name: string }>(
      `select application_name from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
      [database],
    )
    if (rows.length === 0 || tries === 100) return rows.map((row) => row.application_name)
    await sleep(20)
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
