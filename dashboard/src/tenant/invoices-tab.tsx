import { Anchor, Button, Group, Modal, VisuallyHidden } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { useState } from 'react'
import { type Invoice, invoiceAddress, invoicesQuery } from '../api/tenant-parts.ts'
import { formatMoney, formatMonth } from '../format.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { useCursorPages } from '../parts/pager.tsx'
import { StatusDot } from '../parts/status-dot.tsx'

/** What the tenant was billed, and the draft of the month that is running: to look at, and to take along. */
export function InvoicesTab({ tenantId }: { tenantId: string }) {
  const pages = useCursorPages()
  const invoices = useQuery(invoicesQuery(tenantId, pages.cursor))
  const [viewed, view] = useState<Invoice>()
  return (
    <>
      <ListCard
        title="Invoices"
        query={invoices}
        columns={[...COLUMNS, documentsColumn(tenantId, view)]}
        rowId={(invoice) => invoice.invoice_id ?? `draft ${invoice.month}`}
        pages={pages}
        empty={<EmptyState title="No invoices yet">The first draft is there once the month has some usage.</EmptyState>}
      />
      <Modal opened={viewed !== undefined} onClose={() => view(undefined)} title={titleOf(viewed)} size="xl">
        {viewed !== undefined && (
          <iframe
            title={titleOf(viewed)}
            src={invoiceAddress(tenantId, viewed, 'pdf')}
            style={{ width: '100%', height: '70vh', border: 0 }}
          />
        )}
      </Modal>
    </>
  )
}

function titleOf(invoice: Invoice | undefined): string {
  return invoice === undefined ? '' : `Invoice ${invoice.number ?? 'draft'}, ${formatMonth(invoice.month)}`
}

const helper = createColumnHelper<typeof tableFeatureSet, Invoice>()
const COLUMNS = [
  helper.accessor('month', {
    header: 'Month',
    enableSorting: false,
    cell: ({ getValue }) => formatMonth(getValue()),
  }),
  helper.accessor('number', {
    header: 'Number',
    enableSorting: false,
    cell: ({ getValue }) => getValue() ?? 'none yet',
  }),
  helper.accessor('state', {
    header: 'State',
    enableSorting: false,
    cell: ({ getValue }) => <StatusDot status={getValue()} />,
  }),
  helper.accessor('total_micros', {
    header: 'Total',
    enableSorting: false,
    meta: { align: 'right' },
    cell: ({ row }) => formatMoney(row.original.total_micros, row.original.currency),
  }),
] as Column<Invoice>[]

function documentsColumn(tenantId: string, view: (invoice: Invoice) => void): Column<Invoice> {
  return helper.display({
    id: 'documents',
    header: () => <VisuallyHidden>Documents</VisuallyHidden>,
    meta: { align: 'right' },
    cell: ({ row: { original: invoice } }) => (
      <Group gap="sm" justify="flex-end" wrap="nowrap">
        <Button
          size="compact-xs"
          variant="default"
          aria-label={`View the invoice of ${formatMonth(invoice.month)}`}
          onClick={() => view(invoice)}
        >
          View
        </Button>
        {(['pdf', 'csv'] as const).map((format) => (
          <Anchor
            key={format}
            size="sm"
            href={invoiceAddress(tenantId, invoice, format)}
            download={`invoice-${invoice.number ?? invoice.month}.${format}`}
            aria-label={`${format.toUpperCase()} of the invoice of ${formatMonth(invoice.month)}`}
          >
            {format.toUpperCase()}
          </Anchor>
        ))}
      </Group>
    ),
  }) as Column<Invoice>
}
