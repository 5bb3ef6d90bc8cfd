import { expect, test } from 'vitest'
import { createDatabase } from '../../test/support/databases.ts'
import { withClient } from '../testing/world.ts'
import { refuseSchemaSharding } from './citus.ts'

/* Citus itself is in no registry that these tests install from: the setting by which it is known stands for it. */
test('a Citus coordinator that shards by schema is refused, with what to set; with that off it is a server like any other', async () => {
  const database = await createDatabase()
  const look = () => withClient(database.url, (client) => refuseSchemaSharding(client, 'db.example:5432'))
  const set = (value: string) =>
    withClient(database.url, async (client) => {
      const { rows } = await client.query<{ name: string }>('select quote_ident(current_database()) as name')
      await client.query(`alter database ${rows[0]?.name} set "citus.enable_schema_based_sharding" = '${value}'`)
    })
  try {
    await look()
    await set('on')
    await expect(look()).rejects.toThrow(/^db\.example:5432 .* set citus\.enable_schema_based_sharding to off/)
    await set('off')
    await look()
  } finally {
    await database.drop()
  }
})
