import { Button, Group, Modal, NumberInput, SegmentedControl, Stack, Text, Textarea } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { type FormEvent, useState } from 'react'
import { useRight } from '../api/session.ts'
import { type AccessGrant, accessGrantsQuery, useRequestAccess } from '../api/tenant-parts.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { useCursorPages } from '../parts/pager.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

/** Who of the platform asked to see the tenant's data, why, and what the tenant said. */
export function AccessTab({ tenantId }: { tenantId: string }) {
  const canAct = useRight('accessGrants', 'act')
  const pages = useCursorPages()
  const grants = useQuery(accessGrantsQuery(tenantId, pages.cursor))
  const [asking, ask] = useDisclosure()
  return (
    <>
      <ListCard
        title="Access to the data"
        query={grants}
        columns={COLUMNS}
        rowId={(grant) => grant.grant_id}
        pages={pages}
        empty={
          <EmptyState title="Nobody has asked">
            No platform key reads a tenant's data unless the tenant has approved it, for a reason and a time.
          </EmptyState>
        }
        action={
          canAct && (
            <Button size="compact-sm" variant="default" onClick={ask.open}>
              Ask for access
            </Button>
          )
        }
      />
      <Modal opened={asking} onClose={ask.close} title="Ask the tenant for access">
        {asking && <AskForm tenantId={tenantId} onClose={ask.close} />}
      </Modal>
    </>
  )
}

function AskForm({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
  const request = useRequestAccess(tenantId)
  const [reason, setReason] = useState('')
  const [minutes, setMinutes] = useState<number | string>(60)
  const [access, setAccess] = useState<'read' | 'write'>('read')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    request.mutate(
      { reason, minutes: Number(minutes), access },
      {
        onSuccess: ({ requestId }) => {
          reportDone('The tenant has been asked.', requestId)
          onClose()
        },
      },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Textarea
          label="Reason"
          description="The tenant reads it, and it stays in the audit log."
          required
          autosize
          minRows={2}
          data-autofocus
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <SegmentedControl
          aria-label="Kind of access"
          data={[
            { value: 'read', label: 'Read' },
            { value: 'write', label: 'Read and write' },
          ]}
          value={access}
          onChange={(next) => setAccess(next === 'write' ? 'write' : 'read')}
        />
        <NumberInput label="Minutes, from the approval on" min={1} value={minutes} onChange={setMinutes} />
        {request.error !== null && <ProblemAlert fault={request.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={reason.trim() === ''} loading={request.isPending}>
            Ask
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

const helper = createColumnHelper<typeof tableFeatureSet, AccessGrant>()
const COLUMNS = [
  helper.accessor('status', {
    header: 'State',
    enableSorting: false,
    cell: ({ getValue }) => <StatusDot status={getValue()} />,
  }),
  helper.accessor('reason', {
    header: 'Reason',
    enableSorting: false,
    cell: ({ row }) => (
      <div>
        <Text size="sm">{row.original.reason}</Text>
        <Text size="xs" c="dimmed">
          {row.original.access === 'write' ? 'read and write' : 'read'}, {row.original.minutes} minutes, used{' '}
          {row.original.uses} times
        </Text>
      </div>
    ),
  }),
  helper.accessor('requested_by', { header: 'Asked by', enableSorting: false }),
  helper.accessor('requested_at', {
    header: 'Asked',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
    meta: { align: 'right' },
  }),
] as Column<AccessGrant>[]
