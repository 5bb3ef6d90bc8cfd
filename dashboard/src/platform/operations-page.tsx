import { Anchor, Paper, Text } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { Link } from 'react-router'
import { api, type Document, unwrap } from '../api/client.ts'
import { LIVE_MS } from '../api/query-client.ts'
import { type Column, DataTable, type tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { Pager, useCursorPages } from '../parts/pager.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

/** What is being done to tenants, and what was: each with the step that it stands at, or why it failed. */
export function OperationsPage() {
  const pages = useCursorPages()
  const operations = useQuery({
    queryKey: ['operations', pages.cursor],
    queryFn: async ({ signal }) =>
      unwrap(
        await api.GET('/v1/operations', {
          params: { query: { limit: 50, ...(pages.cursor === undefined ? {} : { cursor: pages.cursor }) } },
          signal,
        }),
      ),
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  })
  return (
    <>
      <PageHeader title="Operations" />
      <Paper>
        {operations.error !== null && operations.data === undefined ? (
          <ProblemAlert fault={operations.error} onRetry={() => void operations.refetch()} />
        ) : (
          <DataTable
            label="Operations"
            columns={COLUMNS}
            rows={operations.data?.data ?? []}
            rowId={(operation) => operation.operation_id}
            isLoading={operations.isPending}
            isFading={operations.isPlaceholderData}
            empty={<EmptyState title="Nothing was done yet">Creating a tenant is the first operation.</EmptyState>}
          />
        )}
        <Pager pages={pages} next={operations.data?.next_cursor} />
      </Paper>
    </>
  )
}

type Operation = Document<'ListedOperation'>

const helper = createColumnHelper<typeof tableFeatureSet, Operation>()
const COLUMNS = [
  helper.accessor('kind', { header: 'What', enableSorting: false }),
  helper.accessor('status', {
    header: 'Status',
    enableSorting: false,
    cell: ({ getValue }) => <StatusDot status={getValue()} />,
  }),
  helper.accessor('step', {
    header: 'Step',
    enableSorting: false,
    cell: ({ row }) => <Text size="sm">{row.original.error?.detail ?? row.original.step}</Text>,
  }),
  helper.accessor('tenant_name', {
    header: 'Tenant',
    enableSorting: false,
    cell: ({ row }) => (
      <Anchor component={Link} to={`/tenants/${row.original.tenant_id}`} size="sm">
        {row.original.tenant_name}
      </Anchor>
    ),
  }),
  helper.accessor('created_at', {
    header: 'Begun',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
    meta: { align: 'right' },
  }),
] as Column<Operation>[]
