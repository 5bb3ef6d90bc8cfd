import { Button, Checkbox, CloseButton, Group, Paper, Select, Text, TextInput, Tooltip } from '@mantine/core'
import { useDebouncedValue, useDisclosure } from '@mantine/hooks'
import { MagnifyingGlassIcon, PlusIcon } from '@radix-ui/react-icons'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { useEffect, useMemo, useState } from 'react'
import { Link } from 'react-router'
import { usePlans } from '../api/plans.ts'
import { useRight } from '../api/session.ts'
import { ISOLATIONS, type ListedTenant, PAGE_SIZE, type Sort, STATUSES, tenantsQuery } from '../api/tenants.ts'
import { formatBytes, formatCompact, formatCount } from '../format.ts'
import { type Column, DataTable, type Picked, type tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { MiniMeter } from '../parts/mini-meter.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { PagerButtons, useCursorPages } from '../parts/pager.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'
import { BulkBar } from './bulk-bar.tsx'
import { CreateTenant } from './create-tenant.tsx'
import { useTenantFilter } from './tenant-filter.ts'
import classes from './tenants-page.module.css'

/** Every tenant: found as its name is typed, narrowed, ordered and paged by the platform, so that ten thousand are as quick as ten. */
export function TenantsPage() {
  const { filter, set, clear, isNarrowed } = useTenantFilter()
  const [name, setName] = useState(filter.name ?? '')
  const [asked] = useDebouncedValue(name, 180)
  const [creating, create] = useDisclosure()
  const pages = useCursorPages()
  const [picked, setPicked] = useState<Picked>({})
  const plans = usePlans()
  const canAct = useRight('tenants', 'act')

  // biome-ignore lint/correctness/useExhaustiveDependencies: what was typed goes into the address, not the other way round
  useEffect(() => {
    if ((filter.name ?? '') !== asked) set('name', asked)
  }, [asked])
  const question = JSON.stringify(filter)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another question begins at its first page
  useEffect(() => {
    pages.reset()
    setPicked({})
  }, [question])

  const page = useQuery(tenantsQuery(filter, pages.cursor))
  const rows = page.data?.data ?? NOTHING
  const columns = useMemo(() => makeColumns(canAct), [canAct])
  const first = pages.depth * PAGE_SIZE
  const next = page.data?.next_cursor ?? null

  return (
    <>
      <PageHeader
        title="Tenants"
        detail={
          <span className="figures">
            {page.data?.total === undefined
              ? ' '
              : `${formatCount(page.data.total)} ${isNarrowed ? 'match' : page.data.total === 1 ? 'tenant' : 'tenants'}`}
          </span>
        }
      >
        {canAct && (
          <Button leftSection={<PlusIcon />} onClick={create.open}>
            New tenant
          </Button>
        )}
      </PageHeader>
      <Paper className={classes.card}>
        <div className={classes.filters}>
          <TextInput
            className={classes.search}
            aria-label="Search by name"
            placeholder="Search by name"
            leftSection={<MagnifyingGlassIcon />}
            rightSection={
              name === '' ? null : <CloseButton size="sm" aria-label="Clear the search" onClick={() => setName('')} />
            }
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <FilterSelect
            label="Plan"
            data={plans?.data.map((plan) => ({ value: plan.id, label: plan.title })) ?? []}
            value={filter.plan}
            onChange={(value) => set('plan', value)}
          />
          <FilterSelect
            label="Status"
            data={STATUSES.map((status) => ({ value: status, label: capital(status) }))}
            value={filter.status}
            onChange={(value) => set('status', value)}
          />
          <FilterSelect
            label="Isolation"
            data={ISOLATIONS.map((isolation) => ({ value: isolation, label: capital(isolation) }))}
            value={filter.isolation}
            onChange={(value) => set('isolation', value)}
          />
        </div>
        {page.error !== null && page.data === undefined ? (
          <div style={{ padding: 16 }}>
            <ProblemAlert fault={page.error} onRetry={() => void page.refetch()} />
          </div>
        ) : (
          <DataTable
            label="Tenants"
            columns={columns}
            rows={rows}
            rowId={(row) => row.tenant_id}
            isLoading={page.isPending}
            isFading={page.isPlaceholderData}
            sort={{ id: filter.sort, desc: filter.order === 'desc' }}
            onSort={({ id, desc }) => set('sort', id as Sort, desc ? 'desc' : 'asc')}
            {...(canAct ? { picked, onPick: setPicked } : {})}
            empty={
              isNarrowed ? (
                <EmptyState
                  title="No tenant matches"
                  action={
                    <Button
                      variant="default"
                      onClick={() => {
                        setName('')
                        clear()
                      }}
                    >
                      Show all tenants
                    </Button>
                  }
                >
                  Deleted tenants are listed only when the status asks for them.
                </EmptyState>
              ) : (
                <EmptyState
                  title="No tenants yet"
                  action={canAct ? <Button onClick={create.open}>Create the first</Button> : undefined}
                >
                  A tenant is a database of its own with an API, files and realtime. It is ready in about a second.
                </EmptyState>
              )
            }
          />
        )}
        <Group justify="space-between" className={classes.pager}>
          <Text size="sm" c="dimmed" className="figures" aria-live="polite">
            {rows.length === 0 ? ' ' : `${formatCount(first + 1)}–${formatCount(first + rows.length)}`}
            {page.data?.total !== undefined && rows.length > 0 && ` of ${formatCount(page.data.total)}`}
          </Text>
          <PagerButtons pages={pages} next={page.isPlaceholderData ? null : next} />
        </Group>
      </Paper>
      {canAct && <BulkBar picked={picked} rows={rows} onDone={() => setPicked({})} />}
      <CreateTenant opened={creating} onClose={create.close} />
    </>
  )
}

function FilterSelect(props: {
  label: string
  data: { value: string; label: string }[]
  value: string | undefined
  onChange: (value: string | null) => void
}) {
  const { label, data, value, onChange } = props
  return (
    <Select
      aria-label={label}
      placeholder={label}
      className={classes.filter}
      clearable
      data={data}
      value={value ?? null}
      onChange={onChange}
    />
  )
}

const NOTHING: readonly ListedTenant[] = []

const helper = createColumnHelper<typeof tableFeatureSet, ListedTenant>()

function makeColumns(canAct: boolean): Column<ListedTenant>[] {
  const columns = [
    ...(canAct
      ? [
          helper.display({
            id: 'pick',
            header: ({ table }) => (
              <Checkbox
                size="xs"
                aria-label="Pick all on this page"
                checked={table.getIsAllRowsSelected()}
                indeterminate={table.getIsSomeRowsSelected() && !table.getIsAllRowsSelected()}
                onChange={table.getToggleAllRowsSelectedHandler()}
              />
            ),
            cell: ({ row }) => (
              <Checkbox
                size="xs"
                aria-label={`Pick ${row.original.name}`}
                checked={row.getIsSelected()}
                onChange={row.getToggleSelectedHandler()}
              />
            ),
            enableSorting: false,
            meta: { width: 40 },
          }),
        ]
      : []),
    helper.accessor('name', {
      header: 'Name',
      cell: ({ row }) => (
        <Link to={`/tenants/${row.original.tenant_id}`} className={classes.name}>
          {row.original.name}
        </Link>
      ),
    }),
    helper.accessor('status', { header: 'Status', cell: ({ getValue }) => <StatusDot status={getValue()} /> }),
    helper.accessor('plan', { header: 'Plan', cell: ({ getValue }) => capital(getValue()) }),
    helper.accessor('isolation', { header: 'Isolation', cell: ({ getValue }) => capital(getValue()) }),
    helper.accessor((row) => row.usage.storage_bytes + row.usage.file_storage_bytes, {
      id: 'storage',
      header: 'Storage',
      cell: ({ row }) => <StorageCell tenant={row.original} />,
      meta: { align: 'right' },
    }),
    helper.accessor('api_requests_this_month', {
      id: 'api_requests',
      header: 'Requests this month',
      cell: ({ row }) => (
        <MiniMeter
          text={formatCompact(row.original.api_requests_this_month)}
          value={row.original.api_requests_this_month}
          limit={row.original.quotas.api_requests_per_month}
          label="of the requests of the month"
        />
      ),
      meta: { align: 'right' },
    }),
    helper.accessor('created_at', {
      header: 'Created',
      cell: ({ getValue }) => <TimeAgo at={getValue()} />,
      meta: { align: 'right' },
    }),
  ]
  return columns as Column<ListedTenant>[]
}

function StorageCell({ tenant }: { tenant: ListedTenant }) {
  const { usage, quotas } = tenant
  const total = usage.storage_bytes + usage.file_storage_bytes
  return (
    <Tooltip
      label={`Documents ${formatBytes(usage.storage_bytes)} of ${quotas.storage_bytes === null ? 'unlimited' : formatBytes(quotas.storage_bytes)} · files ${formatBytes(usage.file_storage_bytes)} of ${quotas.file_storage_bytes === null ? 'unlimited' : formatBytes(quotas.file_storage_bytes)}`}
    >
      <span>
        <MiniMeter
          text={formatBytes(total)}
          value={total}
          limit={
            quotas.storage_bytes === null || quotas.file_storage_bytes === null
              ? null
              : quotas.storage_bytes + quotas.file_storage_bytes
          }
          label="of the storage"
        />
      </span>
    </Tooltip>
  )
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
