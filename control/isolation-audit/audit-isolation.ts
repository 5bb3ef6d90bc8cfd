import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { RedisClient } from '../../runtime/redis.ts'
import { type AuditedServer, auditServer, toFinding } from './audit-server.ts'
import { type ProbeTarget, probeCanaries } from './canary-probes.ts'
import { probeContexts } from './context-probes.ts'
import { auditFileModes } from './file-modes.ts'
import type { Finding, Observation } from './finding.ts'
import { auditOwnProcesses } from './own-server-walls.ts'
import { tenantOfOwnServer } from './own-servers.ts'
import { auditPublished } from './published-documents.ts'
import { compareWithRegister, readTenantRegister, type TenantRegister, tenantOfSchema } from './registered-tenants.ts'
import { buildReport, type IsolationReport } from './report.ts'

export type AuditOptions = {
  /** By their administrators' connections: the shared tier's, and those of tenants' own that run now. */
  servers: readonly AuditedServer[]
  /** The metadata database, to name tenants and to compare with what is registered. */
  metadata?: PostgresPool
  /** Where gateways and backends are told of tenants; compared with the metadata. */
  directory?: RedisClient
  /** Backends that are asked around the gateway. */
  backendUrls?: readonly string[]
  /** What an embedded platform keeps. */
  dataDirectory?: string
  /** Probes two tenants made for it through the real gateway. */
  canary?: ProbeTarget
  /** Accepted findings: `code` or `code:object`. */
  accept?: readonly string[]
  clock: Clock
}

/** SQLSTATE of a server that is not ready, or not any more. */
const CANNOT_CONNECT_NOW = '57P03'

/**
 * Looks at every wall between tenants and reports each rule that is broken. It changes nothing (but for the two canary tenants,
 * which it removes again), and takes a number of statements that does not depend on the number of tenants.
 * @throws when a shared server cannot be reached; a tenant's own that cannot is a finding.
 */
export async function auditIsolation(options: AuditOptions): Promise<IsolationReport> {
  const { clock } = options
  const startedMs = clock.monotonicMs()
  const findings: Finding[] = []
  const audits = []
  const beside = (seen: Observation, where: string) =>
    toFinding(seen, where, (schema) => tenantOfSchema(schema, undefined))
  for (const server of options.servers) {
    // The names come with the register, which is read after the server.
    const audit = await auditServer(server, (schema) => tenantOfSchema(schema, undefined)).catch(
      async (fault: Error & { code?: string }) => {
        if (!('isOwn' in server)) throw fault
        // Stopped meanwhile, or starting or stopping: it lets nobody in.
        if (fault.code === CANNOT_CONNECT_NOW || (await server.isRunning?.()) === false) return
        const seen = { schema: null, object: `server ${server.name}`, what: fault.message }
        findings.push(beside({ code: 'check_failed', ...seen }, server.name))
      },
    )
    if (audit === undefined) continue
    const register = options.metadata === undefined ? undefined : await readTenantRegister(options.metadata)
    const isOwn = 'isOwn' in server
    findings.push(...nameTenants(isOwn ? ownedBy(server.name, audit.findings) : audit.findings, register))
    if (register !== undefined) {
      const named = (schema: string) => tenantOfSchema(schema, register)
      findings.push(...compareWithRegister(audit, register).map((seen) => toFinding(seen, server.name, named)))
    }
    audits.push(audit)
  }
  const directories = options.servers.flatMap((server) =>
    'isOwn' in server && server.directory !== undefined ? [{ name: server.name, directory: server.directory }] : [],
  )
  for (const [{ name }, seen] of await auditOwnProcesses(directories))
    findings.push(...ownedBy(name, [beside(seen, name)]))
  if (options.dataDirectory !== undefined)
    findings.push(...(await auditFileModes(options.dataDirectory)).map((seen) => beside(seen, 'files')))
  if (options.directory !== undefined && options.metadata !== undefined) {
    const wrong = await auditPublished(options.directory, options.metadata).catch((fault: Error): Observation[] => [
      { code: 'check_failed', schema: null, object: 'documents in Redis', what: fault.message },
    ])
    const register = await readTenantRegister(options.metadata)
    const named = wrong.map((seen) => toFinding(seen, 'directory', (schema) => tenantOfSchema(schema, register)))
    findings.push(...named)
  }
  const unchecked = await probeContexts(options.backendUrls ?? [], clock.nowMs())
  findings.push(...unchecked.map((seen) => beside(seen, 'backends')))
  let canary: IsolationReport['canary'] = 'not_probed'
  if (options.canary !== undefined) {
    const leaks = await probeCanaries(options.canary)
    findings.push(...leaks.map((seen) => beside(seen, 'gateway')))
    canary = leaks.length === 0 ? 'passed' : 'failed'
  }
  return buildReport({
    findings,
    accept: options.accept ?? [],
    unlisted: audits.reduce((sum, audit) => sum + audit.unlisted, 0),
    servers: audits.map(({ server, database, schemas, tables, statements }) => ({
      server,
      database,
      tenants: schemas.size,
      tables,
      statements,
    })),
    canary,
    nowMs: clock.nowMs(),
    durationMs: clock.monotonicMs() - startedMs,
  })
}

/** What is found on a tenant's own server is that tenant's. */
function ownedBy(server: string, findings: readonly Finding[]): Finding[] {
  const owner = { tenant_id: tenantOfOwnServer(server), name: null }
  return findings.map((finding) => ({ ...finding, tenant: finding.tenant ?? owner }))
}

function nameTenants(findings: readonly Finding[], register: TenantRegister | undefined): Finding[] {
  return findings.map((finding) =>
    finding.tenant === null
      ? finding
      : { ...finding, tenant: tenantOfSchema(`t_${finding.tenant.tenant_id.slice(4)}`, register) },
  )
}
