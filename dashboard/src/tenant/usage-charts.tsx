import { Group, SegmentedControl, Select, SimpleGrid, Title } from '@mantine/core'
import { useQueries } from '@tanstack/react-query'
import { useState } from 'react'
import { type Resource, seriesQuery, type UsagePoint, type UsageRange } from '../api/usage.ts'
import { formatBytes, formatCount } from '../format.ts'
import { SeriesCard, type SeriesLine } from '../parts/series-card.tsx'
import { STATUS_LINES } from '../parts/status-lines.ts'
import { daysOf, isHourly, RANGES, type RangeName } from '../parts/usage-range.ts'

type Source = SeriesLine & { resource: Resource; read?: (point: UsagePoint) => number | undefined }
type Chart = {
  title: string
  fileName: string
  format: (value: number) => string
  isStacked?: boolean
  sources: Source[]
}

const REQUESTS: Chart = {
  title: 'API requests',
  fileName: 'api_requests',
  format: formatCount,
  isStacked: true,
  sources: STATUS_LINES.map((line) => ({
    ...line,
    resource: 'api_requests',
    read: ({ by_status }) => by_status?.[line.id],
  })),
}
/** By hour the statuses are not known. */
const HOURLY_REQUESTS: Chart = {
  ...REQUESTS,
  sources: [{ id: 'api_requests', name: 'Requests', color: 'var(--chart-1)', resource: 'api_requests' }],
}
const CHARTS: readonly Chart[] = [
  {
    title: 'Storage',
    fileName: 'storage',
    format: formatBytes,
    isStacked: true,
    sources: [
      { id: 'documents_bytes', name: 'Documents', color: 'var(--chart-2)', resource: 'documents_bytes' },
      { id: 'files_bytes', name: 'Files', color: 'var(--chart-3)', resource: 'files_bytes' },
    ],
  },
  {
    title: 'Realtime connections',
    fileName: 'realtime_connections',
    format: formatCount,
    sources: [
      { id: 'peak', name: 'Peak', color: 'var(--chart-5)', resource: 'realtime_connections' },
      {
        id: 'average',
        name: 'Average',
        color: 'var(--chart-1)',
        resource: 'realtime_connections',
        read: ({ average }) => average,
      },
    ],
  },
  {
    title: 'Traffic',
    fileName: 'traffic',
    format: formatBytes,
    sources: [
      { id: 'egress_bytes', name: 'Egress', color: 'var(--chart-3)', resource: 'egress' },
      { id: 'ingress_bytes', name: 'Ingress', color: 'var(--chart-2)', resource: 'ingress' },
    ],
  },
]

/** How it went, resource by resource, over a week or a year. */
export function UsageCharts({ tenantId }: { tenantId: string }) {
  const [name, setName] = useState<RangeName>('30')
  const [chosenStep, setStep] = useState<'hour' | 'day'>('day')
  const [view, setView] = useState<'chart' | 'table'>('chart')
  const days = daysOf(name)
  const step = isHourly(days) ? chosenStep : 'day'
  const charts = [step === 'day' ? REQUESTS : HOURLY_REQUESTS, ...CHARTS]
  return (
    <section aria-label="Usage over time">
      <Group justify="space-between" mb="md">
        <Title order={2}>Usage over time</Title>
        <Group gap="xs">
          <Select
            aria-label="Range"
            w={160}
            allowDeselect={false}
            data={RANGES}
            value={name}
            onChange={(next) => next !== null && setName(next as RangeName)}
          />
          <SegmentedControl
            aria-label="Step"
            disabled={!isHourly(days)}
            data={[
              { value: 'day', label: 'By day' },
              { value: 'hour', label: 'By hour' },
            ]}
            value={step}
            onChange={(next) => setStep(next === 'hour' ? 'hour' : 'day')}
          />
          <SegmentedControl
            aria-label="View"
            data={[
              { value: 'chart', label: 'Chart' },
              { value: 'table', label: 'Table' },
            ]}
            value={view}
            onChange={(next) => setView(next === 'table' ? 'table' : 'chart')}
          />
        </Group>
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {charts.map((chart) => (
          <UsageChart key={chart.title} chart={chart} tenantId={tenantId} range={{ ...days, step }} view={view} />
        ))}
      </SimpleGrid>
    </section>
  )
}

function UsageChart(props: { chart: Chart; tenantId: string; range: UsageRange; view: 'chart' | 'table' }) {
  const { chart, tenantId, range } = props
  const resources = [...new Set(chart.sources.map(({ resource }) => resource))]
  const results = useQueries({ queries: resources.map((resource) => seriesQuery(tenantId, range, resource)) })
  const pointsOf = (resource: Resource) => results[resources.indexOf(resource)]?.data?.data ?? []
  const [first] = resources
  const times = first === undefined ? [] : pointsOf(first).map(({ at }) => at)
  const rows = times.map((at, i) => ({
    at,
    values: Object.fromEntries(
      chart.sources.map(({ id, resource, read = ({ value }) => value }) => {
        const point = pointsOf(resource)[i]
        return [id, point === undefined ? 0 : (read(point) ?? 0)]
      }),
    ),
  }))
  // What never came is not in the legend.
  const seen = chart.sources.filter(({ id }) => rows.some(({ values }) => (values[id] ?? 0) > 0))
  return (
    <SeriesCard
      title={chart.title}
      lines={seen.length === 0 ? chart.sources : seen}
      rows={rows}
      step={range.step}
      format={chart.format}
      isStacked={chart.isStacked === true}
      view={props.view}
      fileName={`${chart.fileName}-${range.from}-${range.to}`}
      isLoading={results.some(({ isPending }) => isPending)}
      fault={results.find(({ error }) => error !== null)?.error}
      onRetry={() => {
        for (const result of results) void result.refetch()
      }}
    />
  )
}
