import type { Clusters } from '../provisioners/cluster/clusters.ts'
import type { OwnServers } from '../provisioners/own-server/supervisor.ts'
import type { AuditedServer } from './audit-server.ts'

/** The tenants' own servers that run on this machine, of clusters the primary: what it has, its standbys have. One that sleeps is not woken: nobody reaches it, and it is audited when it runs. */
export function ownServersToAudit(servers: OwnServers, clusters: Clusters): AuditedServer[] {
  const audited = (of: OwnServers | Clusters) =>
    of.watched().map(
      (name): AuditedServer => ({
        name,
        isOwn: true,
        withClient: (work) => of.withAdmin(name, work),
        isRunning: () => of.isRunning(name),
      }),
    )
  return [...audited(servers), ...audited(clusters)]
}
