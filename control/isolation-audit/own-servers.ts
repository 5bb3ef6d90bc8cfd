import { readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { connectPostgres, withPostgres } from '../../runtime/postgres-client.ts'
import { tenantOfCluster } from '../provisioners/cluster/cluster-parts.ts'
import { adminConfig, runningPort } from '../provisioners/own-server/own-server.ts'
import type { AuditedServer } from './audit-server.ts'

/** A tenant's data directory, or that of one node of its cluster. */
const DATA_DIRECTORY = /^(?:ten_[0-9a-z]{26}|clu_[0-9a-z]{26}-[1-9])$/

/**
 * The tenants' own servers that run on this machine, each node of a cluster among them: its catalogues are the primary's, but
 * its settings and who may come in are its own. One that sleeps is not woken: nobody reaches it, and it is audited when it runs.
 * They are found by their directories and entered by the administrator's socket, as the user that control runs as.
 * @param tenantsDirectory `<data dir>/tenants`; where there is none, there are no servers.
 */
export async function listOwnServers(tenantsDirectory: string): Promise<AuditedServer[]> {
  const root = await realpath(tenantsDirectory).catch(() => undefined)
  if (root === undefined) return []
  const names = (await readdir(root)).filter((name) => DATA_DIRECTORY.test(name)).toSorted()
  const servers = await Promise.all(
    names.map(async (name): Promise<AuditedServer[]> => {
      const directory = join(root, name)
      if ((await runningPort(directory)) === undefined) return []
      return [ownServer(name, directory)]
    }),
  )
  return servers.flat()
}

/** The tenant whose own server, or node, has that name. */
export function tenantOfOwnServer(name: string): string {
  return tenantOfCluster(name.replace(/-[1-9]$/, ''))
}

function ownServer(name: string, directory: string): AuditedServer {
  return {
    name,
    isOwn: true,
    directory,
    isRunning: async () => (await runningPort(directory)) !== undefined,
    withClient: async (work) => {
      const port = await runningPort(directory)
      if (port === undefined) throw new Error('The server does not run')
      return withPostgres(connectPostgres(adminConfig({ directory, port })), work)
    },
  }
}
