import { Option } from '@commander-js/extra-typings'
import { formatBytes, formatCount } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { deliver, streamBody } from '../deliver.ts'
import { findTenant } from '../find-tenant.ts'
import { readMonth } from '../read-quantity.ts'
import { makeDays, readDay } from '../read-span.ts'
import type { Perform } from '../session.ts'
import { type Column, renderTable } from '../table.ts'
import type { Group } from './group.ts'

const SERIES = [
  ...(['api_requests', 'egress', 'ingress', 'realtime_messages', 'compute_seconds'] as const),
  ...(['documents_bytes', 'files_bytes', 'realtime_connections'] as const),
]
const BAR_WIDTH = 40

/** `aerodb usage series`, `days`, `ledger` */
export function addUsageOverTimeCommands(usage: Group, perform: Perform): void {
  usage
    .command('series <tenant>')
    .description('One resource over a month or a range of days: sums of what is counted, peaks of what is held.')
    .addOption(new Option('--resource <resource>', 'what').choices(SERIES).default('api_requests' as const))
    .addOption(new Option('--step <step>', 'how fine').choices(['day', 'hour'] as const).default('day' as const))
    .option('--month <YYYY-MM>', 'the month (UTC); the current one unless given', readMonth)
    .addOption(new Option('--from <day>', 'from this day (UTC)').argParser(readDay).conflicts('month'))
    .addOption(
      new Option('--to <day>', 'until before this day; until now unless given').argParser(readDay).conflicts('month'),
    )
    .addOption(new Option('--by-status', 'requests by class of status; by day only').conflicts(['resource', 'step']))
    .action((reference, { resource, step, month = new Date().toISOString().slice(0, 7), from, to, byStatus }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const query = { resource, step, ...(byStatus && { by: 'status' as const }) }
        const series = unwrap(
          from === undefined && to === undefined
            ? await api.GET('/v1/tenants/{tenant_id}/usage/{month}/series', {
                params: { path: { tenant_id, month }, query },
              })
            : await api.GET('/v1/tenants/{tenant_id}/usage-series', {
                params: { path: { tenant_id }, query: { ...query, ...makeDays({ from, to }, 30) } },
              }),
        )
        session.out.show(series, () => renderSeries(series))
      }),
    )

  usage
    .command('days')
    .description('Requests of all tenants by day.')
    .option('--from <day>', 'from this day (UTC); the last 30 days unless given', readDay)
    .option('--to <day>', 'until before this day; until now unless given', readDay)
    .action((asked) =>
      perform(async (session) => {
        const api = await session.connect()
        const days = unwrap(await api.GET('/v1/usage-series', { params: { query: makeDays(asked, 30) } }))
        session.out.show(days, () => renderDays(days.data))
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

function renderSeries({ resource, step, data }: Document<'UsageSeries'>): string {
  type Point = Document<'UsagePoint'>
  const top = Math.max(1, ...data.map((point) => point.value))
  const classes = [...new Set(data.flatMap((point) => Object.keys(point.by_status ?? {})))].sort()
  const bar: Column<Point> = { title: '', of: ({ value }) => '█'.repeat(Math.ceil((value / top) * BAR_WIDTH)) }
  return renderTable(
    data,
    [
      { title: 'AT (UTC)', of: ({ at }) => at.slice(0, step === 'day' ? 10 : 16) },
      { title: resource.toUpperCase(), of: ({ value }) => formatCount(value), isNumber: true },
      ...(classes.length === 0 ? [bar] : makeStatusColumns<Point>(classes)),
    ],
    'Nothing yet.',
  )
}

function renderDays(days: Document<'PlatformDays'>['data']): string {
  const classes = [...new Set(days.flatMap((day) => Object.keys(day.by_status)))].sort()
  return renderTable(
    days,
    [
      { title: 'DAY (UTC)', of: (day) => day.at.slice(0, 10) },
      { title: 'REQUESTS', of: (day) => formatCount(day.requests), isNumber: true },
      ...makeStatusColumns<(typeof days)[number]>(classes),
      { title: 'FAULTS', of: (day) => formatCount(day.faults), isNumber: true },
      { title: 'EGRESS', of: (day) => formatBytes(day.egress_bytes), isNumber: true },
      { title: 'INGRESS', of: (day) => formatBytes(day.ingress_bytes), isNumber: true },
      {
        title: 'AVERAGE',
        of: (day) => (day.average_ms === null ? '-' : `${Number(day.average_ms.toFixed(1))} ms`),
        isNumber: true,
      },
    ],
    'Nothing yet.',
  )
}

function makeStatusColumns<Row extends { by_status?: { [name: string]: number } }>(
  classes: readonly string[],
): Column<Row>[] {
  return classes.map((name) => ({
    title: name,
    of: ({ by_status }) => formatCount(by_status?.[name] ?? 0),
    isNumber: true,
  }))
}
