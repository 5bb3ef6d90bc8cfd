import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { type EmbeddedSecrets, METADATA_DATABASE } from '../data-directory.ts'
import type { FolderEntry } from './manifest.ts'
import { listOwnServers, withMetadata } from './placement.ts'

/**
 * Starts the server of the metadata where it was unpacked: it replays its log up to the end of the backup, and answers. Then
 * removes the servers of tenants that were made after the metadata was copied: nobody knows them, and their users' ids will be
 * given to others.
 */
export async function proveMetadata(options: {
  /** Where `postgres` and `secrets.json` lie. */
  staging: string
  folders: readonly FolderEntry[]
  /** Where each of the folders is built. */
  stagings: readonly string[]
  onStep: (text: string) => void
}): Promise<void> {
  options.onStep('starting the server of the metadata to see that it is whole')
  const secrets = JSON.parse(await readFile(join(options.staging, 'secrets.json'), 'utf8')) as EmbeddedSecrets
  const server = new PostgresServer({
    directory: join(options.staging, 'postgres'),
    port: await findFreePort(),
    password: secrets.postgres_password,
    settings: { max_connections: '200', wal_level: 'logical', max_prepared_transactions: '0' },
  })
  try {
    await server.start(600_000)
    await withMetadata(server.url(METADATA_DATABASE), async (client) => {
      const tenants = await client.query<{ count: number }>(
        `select count(*)::int as count from control.tenants where purged_at is null`,
      )
      options.onStep(`it knows ${tenants.rows[0]?.count ?? 0} tenants`)
      for (const [index, folder] of options.folders.entries()) {
        if (folder.node === null) continue
        const known = new Set((await listOwnServers(client, folder.node)).map(({ directory }) => directory))
        const root = join(options.stagings[index] ?? '', 'tenants')
        for (const name of await readdir(root)) {
          if (name === 'node' || known.has(name)) continue
          options.onStep(`without ${name}, which was made after the metadata was copied`)
          await rm(join(root, name), { recursive: true })
        }
      }
    })
  } finally {
    await server.stop()
  }
}
