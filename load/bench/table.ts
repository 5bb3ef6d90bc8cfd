import type { Sample } from './measure.ts'
import type { Row } from './rounds.ts'
import { median, spread } from './statistics.ts'

/** A yardstick that others are divided by. */
export type Base = { name: string; heading: string }

/** The rows as a Markdown table; each ratio is the median of the ratios of each round, so that drift cancels out. */
export function renderTable(rows: readonly Row[], bases: readonly Base[], support: string): string {
  const headings = [
    '',
    'req/s',
    '±',
    'p50 ms',
    'p99 ms',
    'errors',
    'CPU µs/req',
    `${support} µs/req`,
    'RSS MB',
    ...bases.map((base) => base.heading),
  ]
  const lines = rows.map((row) => {
    if (row.obstacle !== undefined) return [row.yardstick.title, `not measured: ${row.obstacle}`]
    const of = (field: keyof Sample) => row.samples.map((sample) => sample[field])
    const cpuUs = median(of('cpuUsPerRequest'))
    return [
      row.yardstick.title,
      wholeNumber(median(of('requestsPerSecond'))),
      `${Math.round(spread(of('requestsPerSecond')) * 100)}%`,
      median(of('p50Ms')).toFixed(3),
      median(of('p99Ms')).toFixed(3),
      wholeNumber(of('errors').reduce((sum, count) => sum + count, 0)),
      cpuUs === 0 ? '' : cpuUs.toFixed(1),
      cpuUs === 0 ? '' : median(of('supportCpuUsPerRequest')).toFixed(1),
      cpuUs === 0 ? '' : String(Math.round(Math.max(...of('rssBytes')) / 1e6)),
      ...bases.map((base) => formatRatio(ratioTo(rows, row.yardstick.name, base.name))),
    ]
  })
  return [headings, headings.map((_, i) => (i === 0 ? '---' : '---:')), ...lines].map(renderLine).join('\n')
}

/** Throughput of one yardstick in units of another's, or `undefined` when one of them was not measured. */
export function ratioTo(rows: readonly Row[], name: string, base: string): number | undefined {
  const samples = rows.find((row) => row.yardstick.name === name)?.samples ?? []
  const baseSamples = rows.find((row) => row.yardstick.name === base)?.samples ?? []
  if (samples.length === 0 || baseSamples.length === 0) return undefined
  return median(
    samples.map((sample, i) => sample.requestsPerSecond / (baseSamples[i]?.requestsPerSecond ?? Number.NaN)),
  )
}

/** Requests that one second of processor time serves, in units of another yardstick's; `undefined` where it is unknown. */
export function cpuRatio(rows: readonly Row[], name: string, base: string): number | undefined {
  const [own, other] = [name, base].map((wanted) =>
    median((rows.find((row) => row.yardstick.name === wanted)?.samples ?? []).map((sample) => sample.cpuUsPerRequest)),
  )
  return own === undefined || other === undefined || own === 0 || other === 0 ? undefined : other / own
}

/** How much of the serving core other processes took while it was measured (median): above a few percent, figures are noisy. */
export function foreignShare(rows: readonly Row[]): number {
  return median(rows.flatMap((row) => row.samples.map((sample) => sample.foreignShare)))
}

export function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? '' : ratio.toFixed(2)
}

export function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ')
}

export function renderLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
