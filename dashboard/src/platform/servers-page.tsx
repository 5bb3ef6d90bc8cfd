import { Button, Group, Modal, Paper, Stack, Text, VisuallyHidden } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { useState } from 'react'
import { serversQuery } from '../api/overview.ts'
import { type SharedServer, useDrainServer } from '../api/platform-parts.ts'
import { useRight } from '../api/session.ts'
import { formatBytes, formatCompact, formatCount } from '../format.ts'
import { type Column, DataTable, type tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { MiniMeter } from '../parts/mini-meter.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone, reportFailed } from '../parts/report.tsx'
import { StatusDot } from '../parts/status-dot.tsx'

/** The servers of the shared tier, how full each is, and the way to empty one. */
export function ServersPage() {
  const servers = useQuery(serversQuery)
  const canAct = useRight('tenants', 'act')
  const drain = useDrainServer()
  const [chosen, choose] = useState<SharedServer>()
  const use = (server: string) =>
    drain.mutate(
      { server, draining: false },
      {
        onSuccess: ({ requestId }) => reportDone(`${server} takes tenants again.`, requestId),
        onError: (fault) => reportFailed(`${server} stays as it is`, fault),
      },
    )
  return (
    <>
      <PageHeader title="Servers" detail="Shared PostgreSQL servers, on which tenants with schema isolation lie." />
      <Paper>
        {servers.error !== null && servers.data === undefined ? (
          <ProblemAlert fault={servers.error} onRetry={() => void servers.refetch()} />
        ) : (
          <DataTable
            label="Servers"
            columns={canAct ? [...COLUMNS, actionsColumn(choose, use)] : COLUMNS}
            rows={servers.data?.data ?? []}
            rowId={({ server }) => server}
            isLoading={servers.isPending}
            isFading={false}
            empty={<EmptyState title="There are no shared servers" />}
          />
        )}
      </Paper>
      <Modal opened={chosen !== undefined} onClose={() => choose(undefined)} title={`Drain ${chosen?.server ?? ''}`}>
        {chosen !== undefined && <DrainForm server={chosen} onClose={() => choose(undefined)} />}
      </Modal>
    </>
  )
}

function DrainForm({ server, onClose }: { server: SharedServer; onClose: () => void }) {
  const drain = useDrainServer()
  return (
    <Stack>
      <Text size="sm">
        It takes no further tenants, and its {formatCount(server.tenants)} are moved to others while they serve. Deleted
        ones stay until their retention is over.
      </Text>
      {drain.error !== null && <ProblemAlert fault={drain.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={drain.isPending}
          onClick={() =>
            drain.mutate(
              { server: server.server, draining: true },
              {
                onSuccess: ({ requestId }) => {
                  reportDone(`${server.server} is being emptied.`, requestId)
                  onClose()
                },
              },
            )
          }
        >
          Drain it
        </Button>
      </Group>
    </Stack>
  )
}

const helper = createColumnHelper<typeof tableFeatureSet, SharedServer>()
const COLUMNS = [
  helper.accessor('server', { header: 'Server', enableSorting: false }),
  helper.accessor('draining', {
    header: 'State',
    enableSorting: false,
    cell: ({ row: { original: server } }) =>
      server.draining ? (
        <StatusDot status="pending" label={server.tenants === 0 ? 'empty' : 'draining'} />
      ) : (
        <StatusDot status="active" label="in use" />
      ),
  }),
  helper.accessor('tenants', {
    header: 'Tenants',
    enableSorting: false,
    cell: ({ row: { original: server } }) => (
      <MiniMeter
        text={`${formatCount(server.tenants)} of ${formatCompact(server.capacity)}`}
        value={server.tenants}
        limit={server.capacity}
        label="full"
      />
    ),
  }),
  helper.accessor('documents_bytes', {
    header: 'Stored',
    enableSorting: false,
    cell: ({ getValue }) => formatBytes(getValue()),
    meta: { align: 'right' },
  }),
  helper.accessor('max_connections', {
    header: 'Connections, at most',
    enableSorting: false,
    cell: ({ getValue }) => formatCount(getValue()),
    meta: { align: 'right' },
  }),
] as Column<SharedServer>[]

function actionsColumn(choose: (server: SharedServer) => void, use: (server: string) => void): Column<SharedServer> {
  return helper.display({
    id: 'actions',
    header: () => <VisuallyHidden>Actions</VisuallyHidden>,
    meta: { align: 'right' },
    cell: ({ row: { original: server } }) => (
      <Button
        size="compact-xs"
        variant="default"
        aria-label={`${server.draining ? 'Use' : 'Drain'} ${server.server}`}
        onClick={() => (server.draining ? use(server.server) : choose(server))}
      >
        {server.draining ? 'Use again' : 'Drain'}
      </Button>
    ),
  }) as Column<SharedServer>
}
