import { systemClock } from '../../runtime/clock.ts'
import { ConfigError } from '../../runtime/config.ts'
import { makeLogger } from '../../runtime/log.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import { connectRedis } from '../../runtime/redis.ts'
import { type AuditCommand, readAuditCommand } from './audit-config.ts'
import { auditIsolation } from './audit-isolation.ts'
import { listOwnServers } from './own-servers.ts'
import { renderReport } from './report.ts'
import { ReportSigner } from './report-signature.ts'
import { nameServers } from './server-names.ts'

const REDIS_TIMEOUT_MS = 10_000

/** `npm run audit:isolation`: 0 when the walls stand, 1 on any finding, 2 when the audit could not be made. */
async function main(): Promise<number> {
  const command = readAuditCommand(process.argv.slice(2), process.env)
  const log = makeLogger('isolation-audit', 'silent')
  const pools: PostgresPool[] = []
  const open = (url: string): PostgresPool => {
    const pool = makePostgresPool({ url, applicationName: 'aerodb-isolation-audit', maxConnections: 1, log })
    pools.push(pool)
    return pool
  }
  const redis =
    command.redisUrls === undefined
      ? undefined
      : connectRedis({
          urls: command.redisUrls,
          connectionName: 'aerodb-isolation-audit',
          log,
          whenAway: 'wait',
          commandTimeoutMs: REDIS_TIMEOUT_MS,
        })
  try {
    const metadata = command.metadataUrl === undefined ? undefined : open(command.metadataUrl)
    const servers = await nameServers(command.sharedUrls.map(open), metadata)
    const report = await auditIsolation({
      servers: [
        ...servers,
        ...(command.tenantsDirectory === undefined ? [] : await listOwnServers(command.tenantsDirectory)),
      ],
      ...(metadata === undefined ? {} : { metadata }),
      ...(redis === undefined ? {} : { directory: redis }),
      backendUrls: command.backendUrls,
      ...(command.dataDirectory === undefined ? {} : { dataDirectory: command.dataDirectory }),
      ...(command.canary === undefined ? {} : { canary: command.canary }),
      accept: command.accept,
      clock: systemClock,
    })
    await print(command, report)
    return report.ok ? 0 : 1
  } finally {
    redis?.disconnect()
    await Promise.all(pools.map((pool) => pool.end()))
  }
}

async function print(command: AuditCommand, report: Parameters<typeof renderReport>[0]): Promise<void> {
  const signer = command.internalSecret === undefined ? undefined : new ReportSigner(command.internalSecret)
  if (signer === undefined) console.error('The report is not signed: AERODB_INTERNAL_SECRET is not set.')
  if (!command.isJson) {
    console.log(renderReport(report))
    return
  }
  const signed =
    signer === undefined ? { jws: null, key: null } : { jws: await signer.sign(report), key: await signer.publicKey() }
  console.log(JSON.stringify({ report, ...signed }, null, 2))
}

try {
  process.exitCode = await main()
} catch (fault) {
  console.error(
    fault instanceof ConfigError ? fault.message : `The audit could not be made: ${(fault as Error).message}`,
  )
  process.exitCode = 2
}
process.disconnect?.()
