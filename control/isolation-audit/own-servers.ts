import type { OwnServers } from '../provisioners/own-server/supervisor.ts'
import type { AuditedServer } from './audit-server.ts'

/** The tenants' own servers that run on this machine. One that sleeps is not woken: nobody reaches it, and it is audited when it runs. */
export function ownServersToAudit(servers: OwnServers): AuditedServer[] {
  return servers.watched().map((tenantId) => ({
    name: tenantId,
    isOwn: true,
    withClient: (work) => servers.withAdmin(tenantId, work),
    isRunning: () => servers.isRunning(tenantId),
  }))
}
