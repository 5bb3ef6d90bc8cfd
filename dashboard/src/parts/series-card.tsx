import { Button, Group, Paper, Skeleton, Table, Text, Title } from '@mantine/core'
import { lazy, Suspense } from 'react'
import { formatDate, formatDateTime } from '../format.ts'
import { downloadCsv } from './download-csv.ts'
import { ProblemAlert } from './problem-alert.tsx'

const SeriesChart = lazy(() => import('./series-chart.tsx'))

/** A line of a chart: its name for people, its column in a file, and its colour. */
export type SeriesLine = { id: string; name: string; color: string }
export type SeriesRow = { at: string; values: Readonly<Record<string, number>> }

export type SeriesCardProps = {
  title: string
  lines: readonly SeriesLine[]
  rows: readonly SeriesRow[]
  step: 'hour' | 'day'
  format: (value: number) => string
  /** Values of one time stand on each other. */
  isStacked?: boolean
  view?: 'chart' | 'table'
  /** Of the CSV file, without its ending. */
  fileName: string
  isLoading: boolean
  fault?: unknown
  onRetry?: () => void
}

/** How something went: drawn, or as a table for those who want the figures, and as a file for those who reckon with them. */
export function SeriesCard(props: SeriesCardProps) {
  const { title, lines, rows, fileName, view = 'chart' } = props
  const isEmpty = rows.every(({ values }) => lines.every(({ id }) => (values[id] ?? 0) === 0))
  return (
    <Paper p="lg">
      <Group justify="space-between" mb="sm">
        <Title order={3} size="h5">
          {title}
        </Title>
        <Button
          size="compact-xs"
          variant="default"
          disabled={rows.length === 0}
          aria-label={`${title} as CSV`}
          onClick={() =>
            downloadCsv(
              `${fileName}.csv`,
              ['from', ...lines.map(({ id }) => id)],
              rows.map(({ at, values }) => [at, ...lines.map(({ id }) => values[id] ?? 0)]),
            )
          }
        >
          CSV
        </Button>
      </Group>
      {props.fault != null && rows.length === 0 ? (
        <ProblemAlert fault={props.fault} {...(props.onRetry === undefined ? {} : { onRetry: props.onRetry })} />
      ) : isEmpty ? (
        <Text size="sm" c="dimmed" mih={180}>
          {props.isLoading ? 'Loading…' : 'Nothing in this time.'}
        </Text>
      ) : view === 'chart' ? (
        <Suspense fallback={<Skeleton h={180} />}>
          <SeriesChart {...props} />
        </Suspense>
      ) : (
        <Figures {...props} />
      )}
    </Paper>
  )
}

function Figures({ title, lines, rows, step, format }: SeriesCardProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section style={{ maxHeight: 240, overflow: 'auto' }} tabIndex={0} aria-label={`${title}, figures`}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>From</Table.Th>
            {lines.map(({ id, name }) => (
              <Table.Th key={id} ta="right">
                {name}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="figures">
          {rows.map(({ at, values }) => (
            <Table.Tr key={at}>
              <Table.Td>{step === 'day' ? formatDate(at) : formatDateTime(at)}</Table.Td>
              {lines.map(({ id }) => (
                <Table.Td key={id} ta="right">
                  {format(values[id] ?? 0)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  )
}
