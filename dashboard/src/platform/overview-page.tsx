import { Anchor, Group, Paper, Select, SimpleGrid, Skeleton, Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link } from 'react-router'
import { overviewQuery, revenueQuery, serversQuery } from '../api/overview.ts'
import { usePlans } from '../api/plans.ts'
import { useRight } from '../api/session.ts'
import { platformDaysQuery } from '../api/usage.ts'
import { formatBytes, formatCompact, formatCount, formatMoney, formatMonth, formatShare } from '../format.ts'
import { MiniMeter } from '../parts/mini-meter.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { SeriesCard } from '../parts/series-card.tsx'
import { STATUS_LINES } from '../parts/status-lines.ts'
import { TimeAgo } from '../parts/time-ago.tsx'
import { daysOf, RANGES, type RangeName } from '../parts/usage-range.ts'

/** The whole platform at a glance: what there is, how it goes, what it brings in, what is wrong. */
export function OverviewPage() {
  const overview = useQuery(overviewQuery)
  const canSeeUsage = useRight('usage', 'see')
  const canSeeInvoices = useRight('invoices', 'see')
  const canSeeServers = useRight('operations', 'see')
  if (overview.error !== null && overview.data === undefined)
    return <ProblemAlert fault={overview.error} onRetry={() => void overview.refetch()} />
  const { tenants, storage, operations, alerts } = overview.data ?? {}
  return (
    <>
      <PageHeader title="Overview" />
      <Stack gap="md">
        <SimpleGrid cols={{ base: 2, md: 4 }}>
          <Figure
            title="Tenants"
            value={tenants && formatCount(tenants.total)}
            note={<Counts counts={tenants?.by_status} />}
            to="/tenants"
          />
          <Figure
            title="Stored"
            value={storage && formatBytes(storage.documents_bytes + storage.files_bytes)}
            note={storage && `${formatBytes(storage.files_bytes)} of it in files`}
          />
          <Figure
            title="Operations under way"
            value={operations && formatCount(operations.under_way)}
            note={operations && `${formatCount(operations.failed_last_day)} failed in the last day`}
            to="/operations"
          />
          <Figure
            title="Open alerts"
            value={alerts && formatCount(alerts.open)}
            note={
              alerts && (alerts.critical > 0 ? `${formatCount(alerts.critical)} critical` : 'none of them critical')
            }
            isBad={(alerts?.critical ?? 0) > 0}
            to="/alerts"
          />
        </SimpleGrid>
        {canSeeUsage && <PlatformCharts />}
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <TenantsByPlan byPlan={tenants?.by_plan} byIsolation={tenants?.by_isolation} />
          {canSeeInvoices && <RevenueCard />}
          {canSeeServers && <ServersCard />}
        </SimpleGrid>
      </Stack>
    </>
  )
}

function Figure(props: { title: string; value: string | undefined; note: ReactNode; to?: string; isBad?: boolean }) {
  const title = (
    <Text size="sm" c="dimmed">
      {props.title}
    </Text>
  )
  return (
    <Paper p="lg">
      {props.to === undefined ? (
        title
      ) : (
        <Anchor component={Link} to={props.to} size="sm" c="dimmed" display="block">
          {props.title}
        </Anchor>
      )}
      {props.value === undefined ? (
        <Skeleton h={30} w={90} my={4} />
      ) : (
        <Text
          fz={26}
          fw={600}
          lh={1.4}
          className="figures"
          c={props.isBad === true ? 'var(--bad)' : 'var(--mantine-color-text)'}
        >
          {props.value}
        </Text>
      )}
      <Text size="xs" c="dimmed" component="div" mih={18}>
        {props.note}
      </Text>
    </Paper>
  )
}

/** `4 active, 1 paused`: the largest first. */
function Counts({ counts = {} }: { counts: Readonly<Record<string, number>> | undefined }) {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a)
  return <>{sorted.map(([name, count]) => `${formatCompact(count)} ${name}`).join(', ')}</>
}

function PlatformCharts() {
  const [name, setName] = useState<RangeName>('30')
  const range = daysOf(name)
  const days = useQuery(platformDaysQuery(range))
  const points = days.data?.data ?? []
  const shared = {
    step: 'day' as const,
    isLoading: days.isPending,
    fault: days.error,
    onRetry: () => void days.refetch(),
  }
  const total = points.reduce((sum, day) => sum + day.requests, 0)
  const faults = points.reduce((sum, day) => sum + day.faults, 0)
  const file = (what: string) => `platform-${what}-${range.from}-${range.to}`
  const lines = STATUS_LINES.filter(({ id }) => points.some(({ by_status }) => (by_status[id] ?? 0) > 0))
  return (
    <section aria-label="Requests of all tenants">
      <Group justify="space-between" mb="sm">
        <div>
          <Title order={2}>Requests of all tenants</Title>
          <Text size="sm" c="dimmed" className="figures">
            {formatCount(total)} in this time
            {total > 0 && `, ${formatShare(faults / total)} failed through a fault of the platform`}
          </Text>
        </div>
        <Select
          aria-label="Range"
          w={160}
          allowDeselect={false}
          data={RANGES}
          value={name}
          onChange={(next) => next !== null && setName(next as RangeName)}
        />
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <SeriesCard
          {...shared}
          title="Requests"
          lines={lines.length === 0 ? STATUS_LINES : lines}
          rows={points.map(({ at, by_status }) => ({ at, values: by_status }))}
          format={formatCount}
          isStacked
          fileName={file('requests')}
        />
        <SeriesCard
          {...shared}
          title="Time to answer, on average"
          lines={[{ id: 'average_ms', name: 'Average', color: 'var(--chart-2)' }]}
          rows={points.map(({ at, average_ms }) => ({ at, values: { average_ms: average_ms ?? 0 } }))}
          format={formatMilliseconds}
          fileName={file('latency')}
        />
      </SimpleGrid>
    </section>
  )
}

function formatMilliseconds(value: number): string {
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ms`
}

function TenantsByPlan(props: {
  byPlan: Readonly<Record<string, number>> | undefined
  byIsolation: Readonly<Record<string, number>> | undefined
}) {
  const plans = usePlans()
  const total = Object.values(props.byPlan ?? {}).reduce((sum, count) => sum + count, 0)
  const titleOf = (id: string) => plans?.data.find((plan) => plan.id === id)?.title ?? id
  return (
    <Paper p="lg">
      <Title order={2} mb="sm">
        Tenants by plan
      </Title>
      <Rows
        rows={Object.entries(props.byPlan ?? {})
          .sort(([, a], [, b]) => b - a)
          .map(([id, count]) => [
            titleOf(id),
            <MiniMeter key={id} text={formatCount(count)} value={count} limit={total} label="of all tenants" />,
          ])}
        empty="There are no tenants yet."
      />
      <Text size="xs" c="dimmed" mt="sm">
        <Counts counts={props.byIsolation} />
      </Text>
    </Paper>
  )
}

function RevenueCard() {
  const revenue = useQuery(revenueQuery)
  const currency = revenue.data?.currency ?? 'USD'
  const [open, ...over] = revenue.data?.data ?? []
  const invoiced = over.filter(({ invoices }) => invoices > 0).slice(0, 5)
  return (
    <Paper p="lg">
      <Title order={2} mb="sm">
        Revenue
      </Title>
      {revenue.error !== null && revenue.data === undefined ? (
        <ProblemAlert fault={revenue.error} onRetry={() => void revenue.refetch()} />
      ) : (
        <>
          <Rows
            rows={[
              ...(open === undefined
                ? []
                : [
                    [
                      `${formatMonth(open.month)}, so far`,
                      formatMoney(open.drafts?.total_micros ?? 0, currency),
                    ] as const,
                  ]),
              ...invoiced.map(
                ({ month, invoiced_micros, credited_micros }) =>
                  [formatMonth(month), formatMoney(invoiced_micros - credited_micros, currency)] as const,
              ),
            ]}
            empty="Loading…"
          />
          {open?.drafts != null && (
            <Text size="xs" c="dimmed" mt="sm" component="div">
              Added up from {formatCount(open.drafts.tenants)} drafts <TimeAgo at={open.drafts.as_of} />
            </Text>
          )}
        </>
      )}
    </Paper>
  )
}

function ServersCard() {
  const servers = useQuery(serversQuery)
  return (
    <Paper p="lg">
      <Title order={2} mb="sm">
        Shared servers
      </Title>
      {servers.error !== null && servers.data === undefined ? (
        <ProblemAlert fault={servers.error} onRetry={() => void servers.refetch()} />
      ) : (
        <Rows
          rows={(servers.data?.data ?? []).map(({ server, tenants, capacity, draining }) => [
            draining ? `${server} (draining)` : server,
            <MiniMeter
              key={server}
              text={`${formatCompact(tenants)} of ${formatCompact(capacity)}`}
              value={tenants}
              limit={capacity}
              label="full"
            />,
          ])}
          empty="There are no shared servers."
        />
      )}
    </Paper>
  )
}

function Rows({ rows, empty }: { rows: readonly (readonly [string, ReactNode])[]; empty: string }) {
  if (rows.length === 0)
    return (
      <Text size="sm" c="dimmed">
        {empty}
      </Text>
    )
  return (
    <Stack gap={8}>
      {rows.map(([name, value]) => (
        <Group key={name} justify="space-between" wrap="nowrap">
          <Text size="sm" truncate>
            {name}
          </Text>
          <Text size="sm" component="div" className="figures">
            {value}
          </Text>
        </Group>
      ))}
    </Stack>
  )
}
