import { Option } from '@commander-js/extra-typings'
import { formatBytes, formatCount, formatMoney } from '../../client/format.ts'
import { unwrap } from '../../client/platform-client.ts'
import { readBytes, readCount, readSeconds } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb plans`, `pricing` */
export function addPriceCommands(program: Group, perform: Perform): void {
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
        const estimate = unwrap(await api.POST('/v1/pricing/estimate', { body }))
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
}
