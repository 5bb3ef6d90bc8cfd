import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withDatabase } from '../test/support/databases.ts'
import { makeLogger } from './log.ts'
import { migrate, NewerDatabaseError } from './migrations.ts'

const log = makeLogger('test', 'silent')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-migrations-'))
  await writeFile(join(directory, '0001_first.sql'), '-- Up Migration\ncreate table things (id int primary key);\n')
})

afterEach(() => rm(directory, { recursive: true, force: true }))

test('many replicas may migrate at once, and each file runs once', async () => {
  await withDatabase(async (databaseUrl) => {
    await Promise.all(Array.from({ length: 4 }, () => migrate({ databaseUrl, schema: 'part', directory, log })))
    await writeFile(join(directory, '0002_second.sql'), '-- Up Migration\ninsert into things values (1);\n')
    await migrate({ databaseUrl, schema: 'part', directory, log })
    await migrate({ databaseUrl, schema: 'part', directory, log })
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    expect((await client.query('select id from part.things')).rows).toEqual([{ id: 1 }])
    await client.end()
  })
})

test('a database of a newer release is left alone', async () => {
  await withDatabase(async (databaseUrl) => {
    await writeFile(join(directory, '0002_newer.sql'), '-- Up Migration\ncreate table newer (id int);\n')
    await migrate({ databaseUrl, schema: 'part', directory, log })
    await rm(join(directory, '0002_newer.sql'))
    await expect(migrate({ databaseUrl, schema: 'part', directory, log })).rejects.toThrow(NewerDatabaseError)
  })
})

test('a release runs on a database of a newer one whose migrations say so, and leaves it as it is', async () => {
  await withDatabase(async (databaseUrl) => {
    const base = { databaseUrl, schema: 'part', directory, log }
    const says = '-- Runs under release 1.2.0 or later.'
    await writeFile(join(directory, '0002_newer.sql'), `-- Up Migration\n${says}\ncreate table newer (id int);\n`)
    await Promise.all(Array.from({ length: 3 }, () => migrate(base)))
    await rm(join(directory, '0002_newer.sql'))
    await migrate({ ...base, release: '1.2.0' })
    await migrate({ ...base, release: '1.10.3' })
    await expect(migrate({ ...base, release: '1.1.9' })).rejects.toThrow(NewerDatabaseError)
    // The release after that one says nothing of it.
    await writeFile(join(directory, '0002_newer.sql'), `-- Up Migration\n${says}\ncreate table newer (id int);\n`)
    await writeFile(join(directory, '0003_newest.sql'), '-- Up Migration\ndrop table things;\n')
    await migrate({ ...base, release: '2.0.0' })
    await rm(join(directory, '0003_newest.sql'))
    await expect(migrate({ ...base, release: '1.2.0' })).rejects.toThrow(/0003_newest/)
  })
})
