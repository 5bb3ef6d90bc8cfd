import { Option } from '@commander-js/extra-typings'
import { formatBytes, formatCount, formatSeconds, formatShare } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { findTenant } from '../find-tenant.ts'
import { readMonth } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'

const RESOURCES = ['api_requests', 'storage', 'egress', 'ingress', 'realtime', 'compute'] as const

/** `aerodb usage get` */
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
