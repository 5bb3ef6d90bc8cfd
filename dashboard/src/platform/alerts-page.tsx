import { Anchor, Paper, SegmentedControl, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { useState } from 'react'
import { Link } from 'react-router'
import { type Alert, alertsQuery } from '../api/alerts.ts'
import { type Column, DataTable, type tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

/** What is wrong now, and what was. */
export function AlertsPage() {
  const [status, setStatus] = useState<'open' | 'resolved'>('open')
  const alerts = useQuery(alertsQuery({ status }))
  return (
    <>
      <PageHeader title="Alerts">
        <SegmentedControl
          aria-label="Which alerts"
          data={[
            { value: 'open', label: 'Open' },
            { value: 'resolved', label: 'Resolved' },
          ]}
          value={status}
          onChange={(next) => setStatus(next === 'resolved' ? 'resolved' : 'open')}
        />
      </PageHeader>
      <Paper>
        {alerts.error !== null && alerts.data === undefined ? (
          <ProblemAlert fault={alerts.error} onRetry={() => void alerts.refetch()} />
        ) : (
          <DataTable
            label="Alerts"
            columns={COLUMNS}
            rows={alerts.data?.data ?? []}
            rowId={(alert) => alert.alert_id}
            isLoading={alerts.isPending}
            isFading={alerts.isPlaceholderData}
            empty={
              <EmptyState title={status === 'open' ? 'Nothing is wrong' : 'Nothing was wrong lately'}>
                Alerts tell of tenants that cannot be reached, quotas near their end, failed operations and audit
                findings.
              </EmptyState>
            }
          />
        )}
      </Paper>
    </>
  )
}

const helper = createColumnHelper<typeof tableFeatureSet, Alert>()
const COLUMNS = [
  helper.accessor('severity', {
    header: 'Severity',
    enableSorting: false,
    cell: ({ getValue }) => <StatusDot status={getValue()} />,
  }),
  helper.accessor('detail', {
    header: 'What',
    enableSorting: false,
    cell: ({ row }) => (
      <div style={{ whiteSpace: 'normal' }}>
        <Text size="sm">{row.original.detail}</Text>
        <Text size="xs" c="dimmed">
          {row.original.kind.replaceAll('_', ' ')}
        </Text>
      </div>
    ),
  }),
  helper.accessor('tenant_id', {
    header: 'Tenant',
    enableSorting: false,
    cell: ({ getValue }) => <TenantLink tenantId={getValue()} />,
  }),
  helper.accessor('opened_at', {
    header: 'Since',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
    meta: { align: 'right' },
  }),
] as Column<Alert>[]

function TenantLink({ tenantId }: { tenantId: string | null }) {
  if (tenantId === null) return null
  return (
    <Anchor component={Link} to={`/tenants/${tenantId}`} size="sm">
      Show
    </Anchor>
  )
}
