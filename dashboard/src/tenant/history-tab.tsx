import { Code, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { type AuditEntry, auditQuery } from '../api/tenant-parts.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { useCursorPages } from '../parts/pager.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

/** The tenant's part of the audit log: what was changed, from what to what, by whom. */
export function HistoryTab({ tenantId }: { tenantId: string }) {
  const pages = useCursorPages()
  const entries = useQuery(auditQuery(tenantId, pages.cursor))
  return (
    <ListCard
      title="History"
      query={entries}
      columns={COLUMNS}
      rowId={(entry) => String(entry.seq)}
      pages={pages}
      empty={<EmptyState title="Nothing was changed yet" />}
    />
  )
}

/** The members that a change has touched, as `name: before → after`; of what is new or gone, what it is or was. */
function changesOf({ before, after }: AuditEntry): string[] {
  const [old, now] = [asRecord(before), asRecord(after)]
  const isChange = before !== undefined && before !== null && after !== undefined && after !== null
  const show = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value))
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((name) => {
    if (isChange)
      return JSON.stringify(old[name]) === JSON.stringify(now[name])
        ? []
        : [`${name}: ${show(old[name])} → ${show(now[name])}`]
    const value = now[name] ?? old[name]
    return value === null || value === undefined ? [] : [`${name}: ${show(value)}`]
  })
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

const helper = createColumnHelper<typeof tableFeatureSet, AuditEntry>()
const COLUMNS = [
  helper.accessor('action', {
    header: 'What',
    enableSorting: false,
    cell: ({ getValue }) => <Code>{getValue()}</Code>,
  }),
  helper.display({
    id: 'changes',
    header: 'Change',
    cell: ({ row }) =>
      changesOf(row.original).map((change) => (
        <Text size="xs" key={change} style={{ overflowWrap: 'anywhere' }}>
          {change}
        </Text>
      )),
  }),
  helper.accessor('actor', { header: 'Who', enableSorting: false }),
  helper.accessor('at', {
    header: 'When',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
    meta: { align: 'right' },
  }),
] as Column<AuditEntry>[]
