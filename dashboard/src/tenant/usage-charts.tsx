import '@mantine/charts/styles.css'
import { AreaChart } from '@mantine/charts'
import { Button, Group, Paper, SegmentedControl, Select, SimpleGrid, Table, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { seriesQuery } from '../api/usage.ts'
import { formatBytes, formatCompact, formatCount, formatDateTime, formatMonth } from '../format.ts'
import { downloadCsv } from '../parts/download-csv.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { lastMonths } from './months.ts'

const CHARTS = [
  { resource: 'api_requests', title: 'API requests', color: 'indigo.6', format: formatCount },
  { resource: 'documents_bytes', title: 'Storage, documents', color: 'teal.6', format: formatBytes },
  { resource: 'files_bytes', title: 'Storage, files', color: 'cyan.6', format: formatBytes },
  { resource: 'realtime_connections', title: 'Realtime connections, peak', color: 'grape.6', format: formatCount },
  { resource: 'egress', title: 'Egress', color: 'orange.6', format: formatBytes },
] as const

/** How the month went, resource by resource: drawn, or as a table for those who want the figures. */
export function UsageCharts({ tenantId }: { tenantId: string }) {
  const months = lastMonths(12)
  const [month, setMonth] = useState(months[0] ?? '')
  const [step, setStep] = useState<'hour' | 'day'>('day')
  const [view, setView] = useState<'chart' | 'table'>('chart')
  return (
    <section aria-label="Usage over time">
      <Group justify="space-between" mb="md">
        <Title order={2}>Usage over time</Title>
        <Group gap="xs">
          <Select
            aria-label="Month"
            w={180}
            allowDeselect={false}
            data={months.map((one) => ({ value: one, label: formatMonth(one) }))}
            value={month}
            onChange={(next) => setMonth(next ?? month)}
          />
          <SegmentedControl
            aria-label="Step"
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
        {CHARTS.map((chart) => (
          <ChartCard key={chart.resource} chart={chart} question={{ tenantId, month, step }} view={view} />
        ))}
      </SimpleGrid>
    </section>
  )
}

function ChartCard(props: {
  chart: (typeof CHARTS)[number]
  question: { tenantId: string; month: string; step: 'hour' | 'day' }
  view: 'chart' | 'table'
}) {
  const { chart, question, view } = props
  const series = useQuery(seriesQuery({ ...question, resource: chart.resource }))
  const points = series.data?.data ?? []
  const rows = points.map(({ at, value }) => ({ at: formatDateTime(at), [chart.title]: value }))
  return (
    <Paper p="lg">
      <Group justify="space-between" mb="sm">
        <Title order={3} size="h5">
          {chart.title}
        </Title>
        <Button
          size="compact-xs"
          variant="default"
          disabled={points.length === 0}
          aria-label={`${chart.title} as CSV`}
          onClick={() =>
            downloadCsv(
              `${chart.resource}-${question.month}.csv`,
              ['from', chart.resource],
              points.map(({ at, value }) => [at, value]),
            )
          }
        >
          CSV
        </Button>
      </Group>
      {series.error !== null && series.data === undefined ? (
        <ProblemAlert fault={series.error} onRetry={() => void series.refetch()} />
      ) : points.every(({ value }) => value === 0) ? (
        <Text size="sm" c="dimmed" mih={160}>
          {series.isPending ? 'Loading…' : 'Nothing in this month.'}
        </Text>
      ) : view === 'chart' ? (
        <AreaChart
          h={180}
          data={rows}
          dataKey="at"
          series={[{ name: chart.title, color: chart.color }]}
          withDots={false}
          withXAxis={false}
          curveType="linear"
          valueFormatter={chart.format}
          yAxisProps={{ width: 60, tickFormatter: chart.format === formatCount ? formatCompact : formatBytes }}
        />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        <section style={{ maxHeight: 240, overflow: 'auto' }} tabIndex={0} aria-label={`${chart.title}, figures`}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>From</Table.Th>
                <Table.Th ta="right">{chart.title}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {points.map(({ at, value }) => (
                <Table.Tr key={at}>
                  <Table.Td>{formatDateTime(at)}</Table.Td>
                  <Table.Td ta="right">{chart.format(value)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </section>
      )}
    </Paper>
  )
}
