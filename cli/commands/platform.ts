import { Option } from '@commander-js/extra-typings'
import { formatBytes, formatCount, formatMoney } from '../../client/format.ts'
import { unwrap } from '../../client/platform-client.ts'
import { readPages } from '../read-pages.ts'
import { readBytes, readCount, readPositive, readSeconds } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

type Estimate = {
  currency: string
  data: { plan: string; offers_isolation: boolean; exceeded_quotas: string[]; total: string }[]
}

/** `aerodb plans`, `pricing`, `servers`, `audit-log` */
export function addPlatformCommands(program: Group, perform: Perform): void {
  program
    .command('plans')
    .description('The price list: plans with their quotas.')
    .action(() =>
      perform(async (session) => {
        const plans = unwrap(await (await session.connect('public')).GET('/v1/plans'))
        const limit = (amount: number | null, format: (n: number) => string) =>
          amount === null ? 'unlimited' : format(amount)
        session.out.show(plans, () =>
          renderTable(
            plans.data,
            [
              { title: 'PLAN', of: (one) => one.id },
              { title: 'A MONTH', of: (one) => formatMoney(one.base_fee_micros, plans.currency), isNumber: true },
              { title: 'STORAGE', of: (one) => limit(one.quotas.storage_bytes, formatBytes), isNumber: true },
              { title: 'FILES', of: (one) => limit(one.quotas.file_storage_bytes, formatBytes), isNumber: true },
              { title: 'REQUESTS', of: (one) => limit(one.quotas.api_requests_per_month, formatCount), isNumber: true },
              { title: 'A SECOND', of: (one) => limit(one.quotas.requests_per_second, formatCount), isNumber: true },
              { title: 'ISOLATION', of: (one) => one.isolations.join(', ') },
            ],
            'No plans.',
          ),
        )
      }),
    )

  program
    .command('pricing')
    .description('What a usage would cost.')
    .command('estimate')
    .description('What a month would cost on each plan.')
    .addOption(
      new Option('--isolation <isolation>', 'the isolation').choices(['schema', 'database', 'cluster'] as const),
    )
    .option('--api-requests <count>', 'requests', readCount)
    .option('--egress <bytes>', 'bytes sent', readBytes)
    .option('--ingress <bytes>', 'bytes received', readBytes)
    .option('--storage <bytes>', 'rows stored on average', readBytes)
    .option('--file-storage <bytes>', 'files stored on average', readBytes)
    .option('--realtime-messages <count>', 'messages', readCount)
    .option('--realtime-connections <count>', 'connections on average', readCount)
    .option('--compute <time>', "how long the tenant's own server runs; always unless given", readSeconds)
    .action((options) =>
      perform(async (session) => {
        const usage = {
          ...(options.apiRequests !== undefined && { api_requests: options.apiRequests }),
          ...(options.egress !== undefined && { egress_bytes: options.egress }),
          ...(options.ingress !== undefined && { ingress_bytes: options.ingress }),
          ...(options.storage !== undefined && { storage_bytes: options.storage }),
          ...(options.fileStorage !== undefined && { file_storage_bytes: options.fileStorage }),
          ...(options.realtimeMessages !== undefined && { realtime_messages: options.realtimeMessages }),
          ...(options.realtimeConnections !== undefined && { realtime_connections: options.realtimeConnections }),
          ...(options.compute !== undefined && { compute_seconds: options.compute }),
        }
        const body = { usage, ...(options.isolation && { isolation: options.isolation }) }
        const api = await session.connect('public')
        const estimate = unwrap(await api.POST('/v1/pricing/estimate', { body })) as Estimate
        session.out.show(estimate, () =>
          renderTable(
            estimate.data,
            [
              { title: 'PLAN', of: (one) => one.plan },
              { title: 'TOTAL', of: (one) => `${one.total} ${estimate.currency}`, isNumber: true },
              { title: 'ISOLATION', of: (one) => (one.offers_isolation ? 'offered' : 'not offered') },
              { title: 'EXCEEDS', of: (one) => one.exceeded_quotas.join(', ') || '-' },
            ],
            'No plans.',
          ),
        )
      }),
    )

  program
    .command('servers')
    .description('The servers of the shared tier and how full they are.')
    .action(() =>
      perform(async (session) => {
        const page = unwrap(await (await session.connect()).GET('/v1/servers'))
        session.out.show(page, () =>
          renderTable(
            page.data,
            [
              { title: 'SERVER', of: (one) => one.server },
              { title: 'TENANTS', of: (one) => formatCount(one.tenants), isNumber: true },
              { title: 'CAPACITY', of: (one) => formatCount(one.capacity), isNumber: true },
              { title: 'STORED', of: (one) => formatBytes(one.documents_bytes), isNumber: true },
              { title: 'DRAINING', of: (one) => (one.draining ? 'yes' : 'no') },
            ],
            'No servers.',
          ),
        )
      }),
    )

  addAuditCommands(program, perform)
}

function addAuditCommands(program: Group, perform: Perform): void {
  const audit = program.command('audit-log').description('Who changed what.')
  audit
    .command('list')
    .description('List the entries, newest first.')
    .option('--target <id>', 'about this (a tenant, a key ...)')
    .option('--action <action>', 'of this action, such as tenant.create')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action(({ target, action, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = { ...(target && { target }), ...(action && { action }) }
        const page = await readPages({ limit, all }, async (query) =>
          unwrap(await api.GET('/v1/audit-log', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'SEQ', of: (one) => String(one.seq), isNumber: true },
              { title: 'AT', of: (one) => one.at },
              { title: 'ACTOR', of: (one) => one.actor },
              { title: 'ACTION', of: (one) => one.action },
              { title: 'TARGET', of: (one) => one.target },
              { title: 'REQUEST', of: (one) => one.request_id ?? '-' },
            ],
            'No entries.',
          ),
        )
      }),
    )
  audit
    .command('verify')
    .description('Check the chain of hashes from its beginning; exit code 3 when it is broken.')
    .action(() =>
      perform(async (session) => {
        const chain = unwrap(await (await session.connect()).GET('/v1/audit-log/verification'))
        session.out.show(chain, () =>
          renderFacts({ chain: chain.intact ? 'intact' : `broken at ${chain.first_broken_seq}` }),
        )
        if (!chain.intact) process.exitCode = 3
      }),
    )
}
