import type { Logger } from '../../runtime/log.ts'
import { type DnsConfig, makeDnsDriver, makeHostPolicy } from './dns-config.ts'
import { DnsKeeper, type DnsSource } from './dns-keeper.ts'
import type { DnsHost } from './plan-changes.ts'
import { TenantDns } from './tenant-dns.ts'

/** What the platform itself answers at; a reserved name, so no tenant's. */
const PLATFORM_HOST: DnsHost = { label: 'control', tenantId: 'platform' }

type Queryable = { query<Row extends object>(text: string, values?: unknown[]): Promise<{ rows: Row[] }> }

/** Hosts by the tenants' table: every living tenant's, whatever its state, and the platform's own. */
export function tenantsTableSource(db: Queryable): DnsSource {
  const select = `select name as label, tenant_id as "tenantId" from control.tenants
    where status not in ('deleting', 'deleted', 'failed')`
  return {
    findHost: async (label) => {
      if (label === PLATFORM_HOST.label) return PLATFORM_HOST
      return (await db.query<DnsHost>(`${select} and name = $1`, [label])).rows[0]
    },
    listHosts: async () => [PLATFORM_HOST, ...(await db.query<DnsHost>(select)).rows],
  }
}

/** The keeper that the configuration asks for; `undefined` where a wildcard record does its work (`none`). */
export function makeDnsKeeper(options: {
  config: DnsConfig
  domain: string
  source: DnsSource
  log: Logger
}): DnsKeeper | undefined {
  const { config, domain, source, log } = options
  const driver = makeDnsDriver(config)
  if (driver === undefined) return undefined
  const policy = makeHostPolicy(config, domain, new Set([PLATFORM_HOST.label]))
  return new DnsKeeper({
    dns: new TenantDns(driver, policy),
    source,
    reconcileMs: config.AERODB_DNS_RECONCILE_SECONDS * 1_000,
    log,
  })
}
