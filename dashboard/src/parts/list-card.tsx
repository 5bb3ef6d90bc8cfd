import { Group, Paper, Title } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { type Column, DataTable } from './data-table.tsx'
import { Pager, type useCursorPages } from './pager.tsx'
import { ProblemAlert } from './problem-alert.tsx'

/** A titled list in all its moods: loading, empty, failed, and page by page. */
export function ListCard<Row extends object>(props: {
  title: string
  query: UseQueryResult<{ data: readonly Row[]; next_cursor: string | null }>
  columns: Column<Row>[]
  rowId: (row: Row) => string
  empty: ReactNode
  pages?: ReturnType<typeof useCursorPages>
  action?: ReactNode
}) {
  const { query, pages } = props
  return (
    <Paper>
      <Group justify="space-between" p="lg" pb="sm">
        <Title order={2}>{props.title}</Title>
        {props.action}
      </Group>
      {query.error !== null && query.data === undefined ? (
        <ProblemAlert fault={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <DataTable
          label={props.title}
          columns={props.columns}
          rows={query.data?.data ?? []}
          rowId={props.rowId}
          isLoading={query.isPending}
          isFading={query.isPlaceholderData}
          empty={props.empty}
        />
      )}
      {pages !== undefined && <Pager pages={pages} next={query.data?.next_cursor} />}
    </Paper>
  )
}
