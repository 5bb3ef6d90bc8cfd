import { formatMoney, formatSeconds } from '../../client/format.ts'
import type { Document } from '../../client/platform-client.ts'
import { renderFacts, renderTable } from '../table.ts'

/** A month's measured uptime: the verdict first, then the incidents behind it. */
export function renderSla(report: Document<'SlaReport'>): string {
  const { target, credit } = report
  const facts = renderFacts({
    month: report.final ? report.month : `${report.month} (so far)`,
    uptime: report.uptime_percent === null ? 'not measured' : `${report.uptime_percent} %`,
    promised: target === null || target.uptime === null ? 'best effort' : `${percent(target.uptime)} (${target.plan})`,
    met: report.met === null ? undefined : report.met ? 'yes' : 'no',
    downtime: `${formatSeconds(report.downtime_seconds)}${allowance(target?.allowed_downtime_seconds)}`,
    'in maintenance': secondsOrNone(report.maintenance_downtime_seconds),
    'not observed': secondsOrNone(report.unobserved_seconds),
    credit:
      credit.status === 'none'
        ? undefined
        : `${formatMoney(credit.amount_micros, credit.currency)} (${credit.percent} %, ${credit.status.replace('_', ' ')})`,
  })
  const incidents = renderTable(
    report.incidents,
    [
      { title: 'BEGAN', of: (one) => one.started_at },
      { title: 'ENDED', of: (one) => one.ended_at ?? 'goes on' },
      { title: 'DOWN', of: (one) => formatSeconds(one.downtime_seconds), isNumber: true },
      { title: 'CAUSE', of: (one) => one.cause },
      { title: 'DETAIL', of: (one) => one.detail },
    ],
    'No incidents.',
  )
  return `${facts}\n${incidents}`
}

/** What a status page shows, in one screen: days without downtime are left out. */
export function renderStatus(status: Document<'Status'>): string {
  const days = status.days.filter((day) => day.downtime_seconds > 0)
  return [
    renderFacts({
      of: status.tenant ?? 'the platform',
      status: status.status.replaceAll('_', ' '),
      uptime: status.uptime === null ? undefined : `${percent(status.uptime)} over ${status.days.length} days`,
      'as of': status.as_of,
    }),
    renderTable(
      days,
      [
        { title: 'DAY', of: (day) => day.date },
        { title: 'UPTIME', of: (day) => (day.uptime === null ? '-' : percent(day.uptime)), isNumber: true },
        { title: 'DOWN', of: (day) => formatSeconds(day.downtime_seconds), isNumber: true },
      ],
      'No day with downtime.',
    ),
    ...(status.incidents.length === 0 ? [] : [renderTable(status.incidents, INCIDENT, '')]),
    ...(status.maintenance.length === 0 ? [] : [renderTable(status.maintenance, MAINTENANCE, '')]),
  ].join('\n')
}

const INCIDENT = [
  { title: 'INCIDENT', of: (one: Document<'Status'>['incidents'][number]) => one.started_at },
  { title: 'ENDED', of: (one: Document<'Status'>['incidents'][number]) => one.ended_at ?? 'goes on' },
  {
    title: 'LASTED',
    of: (one: Document<'Status'>['incidents'][number]) => formatSeconds(one.duration_seconds),
    isNumber: true,
  },
]
const MAINTENANCE = [
  { title: 'MAINTENANCE', of: (one: Document<'Status'>['maintenance'][number]) => one.starts_at },
  { title: 'ENDS', of: (one: Document<'Status'>['maintenance'][number]) => one.ends_at },
  { title: 'REASON', of: (one: Document<'Status'>['maintenance'][number]) => one.reason },
]

/** A share as a percentage that is never rounded up: 0.999999 is not 100 %. */
function percent(share: number): string {
  return `${Math.floor(share * 1_000_000 + 1e-6) / 10_000} %`
}

function allowance(seconds: number | null | undefined): string {
  return typeof seconds === 'number' ? ` of ${formatSeconds(seconds)} allowed` : ''
}

function secondsOrNone(seconds: number): string | undefined {
  return seconds === 0 ? undefined : formatSeconds(seconds)
}
