import '@mantine/core/styles/ColorSwatch.css'
import '@mantine/charts/styles.css'
import { AreaChart } from '@mantine/charts'
import { formatBytes, formatCompact, formatDate, formatDateTime, formatDay } from '../format.ts'
import type { SeriesCardProps } from './series-card.tsx'

/** The drawing of a series, with its library, which is loaded when the first one is drawn. */
export default function SeriesChart({ lines, rows, step, format, isStacked = false }: SeriesCardProps) {
  const data = rows.map(({ at, values }) => ({
    at,
    ...Object.fromEntries(lines.map(({ id, name }) => [name, values[id] ?? 0])),
  }))
  return (
    <AreaChart
      h={180}
      data={data}
      dataKey="at"
      series={lines.map(({ name, color }) => ({ name, color }))}
      type={isStacked && lines.length > 1 ? 'stacked' : 'default'}
      withDots={false}
      withLegend={lines.length > 1}
      legendProps={{ verticalAlign: 'bottom', height: 28 }}
      curveType="linear"
      valueFormatter={format}
      tooltipProps={{ labelFormatter: (at) => timeOf(at, step) }}
      xAxisProps={{ tickFormatter: formatDay, minTickGap: 40, interval: 'preserveStartEnd' }}
      yAxisProps={{ width: 60, tickFormatter: format === formatBytes ? formatBytes : formatCompact }}
    />
  )
}

/** The library asks for a label before it knows of what. */
function timeOf(at: unknown, step: 'hour' | 'day'): string {
  if (typeof at !== 'string' || at === '') return ''
  return step === 'day' ? formatDate(at) : formatDateTime(at)
}
