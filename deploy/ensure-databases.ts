import pg from 'pg'

/** Makes those databases that are not there yet, closed to whoever is not admitted by name. */
export async function ensureDatabases(adminUrl: string, names: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    for (const name of names) {
      const found = await client.query('select from pg_database where datname = $1', [name])
      if (found.rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`)
    }
    // Tenants' logins reach the shared tier's database, and no other on the same server.
    for (const name of ['postgres', 'template1', ...names]) {
      await client.query(`revoke all on database ${pg.escapeIdentifier(name)} from public`)
    }
  } finally {
    await client.end()
  }
}
