import { Anchor, Paper, Select, SimpleGrid, Stack, Switch, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useRight } from '../api/session.ts'
import { type SlaReport, slaQuery } from '../api/tenant-parts.ts'
import { type Tenant, usePatchTenant } from '../api/tenants.ts'
import { formatDateTime, formatMoney, formatMonth, formatSeconds } from '../format.ts'
import { EmptyState } from '../parts/empty-state.tsx'
import { PageLoading } from '../parts/page-loading.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone, reportFailed } from '../parts/report.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { monthsSince } from './months.ts'

/** Whether the tenant could be reached, month by month, as measured from outside; and what of it anybody may see. */
export function AvailabilityTab({ tenant }: { tenant: Tenant }) {
  const months = monthsSince(tenant.created_at)
  const [month, setMonth] = useState(months[0] ?? '')
  const report = useQuery(slaQuery(tenant.tenant_id, month))
  return (
    <Stack gap="lg">
      <Select
        label="Month"
        w={220}
        allowDeselect={false}
        data={months.map((one) => ({ value: one, label: formatMonth(one) }))}
        value={month}
        onChange={(next) => setMonth(next ?? month)}
      />
      {report.data === undefined ? (
        report.error === null ? (
          <PageLoading />
        ) : (
          <ProblemAlert fault={report.error} onRetry={() => void report.refetch()} />
        )
      ) : (
        <>
          <Figures report={report.data} />
          <Incidents report={report.data} />
        </>
      )}
      <StatusPage tenant={tenant} />
    </Stack>
  )
}

function Figures({ report }: { report: SlaReport }) {
  const allowed = report.target?.allowed_downtime_seconds ?? null
  const promise =
    report.target === null || report.target.uptime === null
      ? 'best effort'
      : `${report.target.uptime * 100}%${allowed === null ? '' : `, at most ${formatSeconds(allowed)} down`}`
  const { credit } = report
  const facts: readonly (readonly [string, string])[] = [
    ['Uptime', report.uptime_percent === null ? 'not measured yet' : `${report.uptime_percent}%`],
    ['Promised', promise],
    ['Down', formatSeconds(report.downtime_seconds)],
    ['Down in maintenance', formatSeconds(report.maintenance_downtime_seconds)],
    ['Not looked at', formatSeconds(report.unobserved_seconds)],
    [
      'Credit',
      credit.status === 'none' ? 'none' : `${formatMoney(credit.amount_micros, credit.currency)} (${credit.status})`,
    ],
  ]
  return (
    <Paper p="lg">
      <Title order={2} mb="md">
        {report.met === null ? 'Uptime' : report.met ? 'The promise is kept' : 'The promise is not kept'}
      </Title>
      <SimpleGrid cols={{ base: 2, md: 3 }}>
        {facts.map(([label, value]) => (
          <div key={label}>
            <Text size="xs" c="dimmed">
              {label}
            </Text>
            <Text size="sm" className="figures">
              {value}
            </Text>
          </div>
        ))}
      </SimpleGrid>
    </Paper>
  )
}

function Incidents({ report }: { report: SlaReport }) {
  return (
    <Paper p="lg">
      <Title order={2} mb="md">
        Incidents
      </Title>
      {report.incidents.length === 0 ? (
        <EmptyState title="No incidents">It answered whenever somebody looked.</EmptyState>
      ) : (
        <Stack gap="sm" component="ul" m={0} p={0} style={{ listStyle: 'none' }}>
          {report.incidents.map((one) => (
            <li key={one.incident_id}>
              <Text size="sm">
                {formatDateTime(one.started_at)}, {formatSeconds(one.downtime_seconds)}: {one.cause}, {one.detail}{' '}
                {one.ended_at === null && <StatusDot status="open" />}
              </Text>
            </li>
          ))}
        </Stack>
      )}
    </Paper>
  )
}

function StatusPage({ tenant }: { tenant: Tenant }) {
  const canAct = useRight('tenants', 'act') && tenant.status !== 'deleted'
  const patch = usePatchTenant(tenant.tenant_id)
  return (
    <Paper p="lg">
      <Title order={2} mb="md">
        Status page
      </Title>
      <Switch
        label="Anybody may see this tenant's uptime and incidents"
        checked={tenant.public_status}
        disabled={!canAct || patch.isPending}
        onChange={(event) =>
          patch.mutate(
            { patch: { public_status: event.currentTarget.checked } },
            {
              onSuccess: ({ tenant: now, requestId }) =>
                reportDone(`The status page is ${now.public_status ? 'open' : 'closed'}.`, requestId),
              onError: (fault) => reportFailed('The status page is as it was', fault),
            },
          )
        }
      />
      {tenant.public_status && (
        <Anchor size="sm" mt="sm" display="block" href={`/status/${tenant.name}`} target="_blank" rel="noopener">
          Open the page
        </Anchor>
      )}
    </Paper>
  )
}
