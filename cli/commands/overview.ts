import { formatBytes, formatCount, formatMoney } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { readPositive } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb overview`, `revenue`: the platform as a whole. */
export function addOverviewCommands(program: Group, perform: Perform): void {
  program
    .command('overview')
    .description('The whole platform in figures.')
    .action(() =>
      perform(async (session) => {
        const found = unwrap(await (await session.connect()).GET('/v1/overview'))
        session.out.show(found, () => renderOverview(found))
      }),
    )

  program
    .command('revenue')
    .description('What each month brings in, the newest first; the open one as its invoices come to so far.')
    .option('--months <count>', 'how many', readPositive)
    .action(({ months }) =>
      perform(async (session) => {
        const api = await session.connect()
        const query = months === undefined ? {} : { months }
        const found = unwrap(await api.GET('/v1/revenue', { params: { query } }))
        session.out.show(found, () => renderRevenue(found))
      }),
    )
}

function renderOverview({ tenants, storage, operations, alerts, as_of }: Document<'Overview'>): string {
  const parts = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([name, count]) => `${formatCount(count)} ${name}`)
      .join(', ') || '-'
  return renderFacts({
    tenants: formatCount(tenants.total),
    'by plan': parts(tenants.by_plan),
    'by status': parts(tenants.by_status),
    'by isolation': parts(tenants.by_isolation),
    stored: `${formatBytes(storage.documents_bytes)}, and ${formatBytes(storage.files_bytes)} of files`,
    operations: `${formatCount(operations.under_way)} under way, ${formatCount(operations.failed_last_day)} failed in a day`,
    alerts: `${formatCount(alerts.open)} open, ${formatCount(alerts.critical)} critical`,
    'as of': as_of,
  })
}

function renderRevenue({ currency, data }: Document<'Revenue'>): string {
  const money = (micros: number) => formatMoney(micros, currency)
  return renderTable(
    data,
    [
      { title: 'MONTH', of: (one) => one.month },
      { title: 'STATE', of: (one) => one.state },
      { title: 'INVOICES', of: (one) => formatCount(one.invoices), isNumber: true },
      { title: 'INVOICED', of: (one) => money(one.invoiced_micros), isNumber: true },
      { title: 'CREDITED', of: (one) => money(one.credited_micros), isNumber: true },
      { title: 'PAID', of: (one) => money(one.paid_micros), isNumber: true },
      { title: 'DRAFTS', of: (one) => (one.drafts === null ? '-' : money(one.drafts.total_micros)), isNumber: true },
    ],
    'Nothing yet.',
  )
}
