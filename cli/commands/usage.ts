import { Option } from '@commander-js/extra-typings'
import { formatBytes, formatCount, formatSeconds, formatShare } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { deliver, streamBody } from '../deliver.ts'
import { findTenant } from '../find-tenant.ts'
import { readMonth } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'

const RESOURCES = ['api_requests', 'storage', 'egress', 'ingress', 'realtime', 'compute'] as const
const SERIES = [
  ...['api_requests', 'egress', 'ingress', 'realtime_messages', 'compute_seconds'],
  ...['documents_bytes', 'files_bytes', 'realtime_connections'],
] as const
const BAR_WIDTH = 40

/** `aerodb usage` */
export function addUsageCommands(usage: Group, perform: Perform): void {
  usage
    .command('get <tenant>')
    .description("A month's usage beside its quotas.")
    .option('--month <YYYY-MM>', 'the month (UTC); the current one unless given', readMonth)
    .addOption(new Option('--resource <resource>', 'one resource in detail').choices(RESOURCES))
    .action((reference, { month, resource }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const found = unwrap(
          month === undefined
            ? await api.GET('/v1/tenants/{tenant_id}/usage', { params: { path: { tenant_id } } })
            : await api.GET('/v1/tenants/{tenant_id}/usage/{month}', { params: { path: { tenant_id, month } } }),
        )
        if (resource === undefined) session.out.show(found, () => renderUsage(found))
        else if (resource === 'api_requests')
          session.out.show(found.resources.api_requests, () => renderEndpoints(found))
        else
          session.out.show(found.resources[resource], () =>
            renderTable(
              Object.entries(found.resources[resource]),
              [
                { title: 'WHAT', of: ([name]) => name },
                { title: 'AMOUNT', of: ([, amount]) => formatCount(amount), isNumber: true },
              ],
              '',
            ),
          )
      }),
    )

  usage
    .command('series <tenant>')
    .description('One resource over a month, by day or hour: sums of what is counted, peaks of what is held.')
    .addOption(new Option('--resource <resource>', 'what').choices(SERIES).default('api_requests' as const))
    .addOption(new Option('--step <step>', 'how fine').choices(['day', 'hour'] as const).default('day' as const))
    .option('--month <YYYY-MM>', 'the month (UTC); the current one unless given', readMonth)
    .action((reference, { resource, step, month = new Date().toISOString().slice(0, 7) }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const series = unwrap(
          await api.GET('/v1/tenants/{tenant_id}/usage/{month}/series', {
            params: { path: { tenant_id, month }, query: { resource, step } },
          }),
        )
        const top = Math.max(1, ...series.data.map((point) => point.value))
        session.out.show(series, () =>
          renderTable(
            series.data,
            [
              { title: 'AT (UTC)', of: ({ at }) => (step === 'day' ? at.slice(0, 10) : at.slice(0, 16)) },
              { title: resource.toUpperCase(), of: ({ value }) => formatCount(value), isNumber: true },
              { title: '', of: ({ value }) => '█'.repeat(Math.ceil((value / top) * BAR_WIDTH)) },
            ],
            'Nothing yet.',
          ),
        )
      }),
    )

  usage
    .command('ledger <tenant>')
    .description('A month of the ledger as CSV: what usage and invoices are sums of.')
    .option('--month <YYYY-MM>', 'the month (UTC); the current one unless given', readMonth)
    .option('-o, --output <file>', 'write it to this file; `-` is stdout, as without it')
    .option('-f, --force', 'replace a file that is there')
    .action((reference, { month, output, force }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const answer = await api.GET('/v1/tenants/{tenant_id}/ledger', {
          params: { path: { tenant_id }, query: month === undefined ? {} : { month } },
          parseAs: 'stream',
        })
        await deliver(session, streamBody(answer), { output, force, format: 'csv' })
      }),
    )
}

function renderUsage({ resources, quotas }: Document<'Usage'>): string {
  const { api_requests, storage, egress, ingress, realtime, compute } = resources
  const rows: [what: string, used: string, quota: string, share: string][] = [
    row('API requests', api_requests.total, quotas.api_requests_per_month, formatCount),
    row('storage', storage.documents_bytes, quotas.storage_bytes, formatBytes),
    row('file storage', storage.files_bytes, quotas.file_storage_bytes, formatBytes),
    row('realtime connections (peak)', realtime.peak_connections, quotas.realtime_connections, formatCount),
    ['realtime messages', formatCount(realtime.messages), '', ''],
    ['egress', formatBytes(egress.bytes), '', ''],
    ['ingress', formatBytes(ingress.bytes), '', ''],
    ['compute', formatSeconds(compute.seconds), '', ''],
  ]
  return renderTable(
    rows,
    [
      { title: 'RESOURCE', of: ([what]) => what },
      { title: 'USED', of: ([, used]) => used, isNumber: true },
      { title: 'QUOTA', of: ([, , quota]) => quota, isNumber: true },
      { title: 'SHARE', of: ([, , , share]) => share, isNumber: true },
    ],
    '',
  )
}

function row(
  what: string,
  used: number,
  quota: number | null,
  format: (amount: number) => string,
): [string, string, string, string] {
  if (quota === null) return [what, format(used), 'unlimited', '']
  return [what, format(used), format(quota), quota === 0 ? '' : formatShare(used / quota)]
}

function renderEndpoints({ resources }: Document<'Usage'>): string {
  return renderTable(
    resources.api_requests.by_endpoint,
    [
      { title: 'METHOD', of: (one) => one.method },
      { title: 'ENDPOINT', of: (one) => one.endpoint },
      { title: 'STATUS', of: (one) => String(one.status), isNumber: true },
      { title: 'COUNT', of: (one) => formatCount(one.count), isNumber: true },
    ],
    'No requests.',
  )
}
