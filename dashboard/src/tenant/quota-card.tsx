import { Button, Group, Paper, Progress, SimpleGrid, Text, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useRight } from '../api/session.ts'
import type { Quotas, Tenant } from '../api/tenants.ts'
import { type Resource, seriesQuery, type UsagePoint } from '../api/usage.ts'
import { formatBytes, formatCount, formatDate, formatShare } from '../format.ts'
import { toneOfShare } from '../parts/mini-meter.tsx'
import { daysOf } from '../parts/usage-range.ts'
import { EditQuotas } from './edit-quotas.tsx'
import { monthlyRunOut, storageRunOut } from './run-out.ts'

/** Each quota: its name, how its figures read, and what of it is used (where the tenant's document tells). */
export const QUOTAS: readonly {
  id: keyof Quotas
  label: string
  format: (value: number) => string
  used?: (tenant: Tenant) => number
}[] = [
  { id: 'storage_bytes', label: 'Documents', format: formatBytes, used: ({ usage }) => usage.storage_bytes },
  { id: 'file_storage_bytes', label: 'Files', format: formatBytes, used: ({ usage }) => usage.file_storage_bytes },
  { id: 'api_requests_per_month', label: 'Requests a month', format: formatCount },
  { id: 'requests_per_second', label: 'Requests a second', format: formatCount },
  { id: 'realtime_connections', label: 'Realtime connections', format: formatCount },
]
const COLORS = { ok: 'teal', warn: 'yellow', bad: 'red' } as const

/** What the tenant uses of what it may, and the way to let it have more or less. */
export function QuotaCard({ tenant, etag }: { tenant: Tenant; etag: string | undefined }) {
  const canAct = useRight('tenants', 'act') && tenant.status !== 'deleted'
  const [editing, edit] = useDisclosure()
  const { requests, runsOut } = useOutlook(tenant)
  return (
    <Paper p="lg">
      <Group justify="space-between" mb="md">
        <Title order={2}>Quotas</Title>
        {canAct && (
          <Button variant="default" size="compact-sm" onClick={edit.open}>
            Edit quotas
          </Button>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
        {QUOTAS.map((quota) => (
          <Meter
            key={quota.id}
            quota={quota}
            limit={tenant.quotas[quota.id]}
            used={quota.id === 'api_requests_per_month' ? requests : quota.used?.(tenant)}
            runsOut={runsOut[quota.id]}
          />
        ))}
      </SimpleGrid>
      <EditQuotas tenant={tenant} etag={etag} opened={editing} onClose={edit.close} />
    </Paper>
  )
}

/** What was used of the month's requests, and when what will run out if it goes on as it does. */
function useOutlook({ tenant_id, quotas }: Tenant): {
  requests: number | undefined
  runsOut: Partial<Record<keyof Quotas, Date | undefined>>
} {
  const canSee = useRight('usage', 'see')
  const [month, recent] = [daysOf('month'), daysOf('30')]
  const read = (range: typeof month, resource: Resource) => ({
    ...seriesQuery(tenant_id, { ...range, step: 'day' }, resource),
    enabled: canSee,
  })
  const requests = useQuery(read(month, 'api_requests')).data?.data
  const documents = useQuery(read(recent, 'documents_bytes')).data?.data
  const files = useQuery(read(recent, 'files_bytes')).data?.data
  const nowMs = Date.now()
  const when = (
    points: readonly UsagePoint[] | undefined,
    limit: number | null,
    reckon: typeof monthlyRunOut,
  ): Date | undefined => (points === undefined || limit === null ? undefined : reckon(points, limit, nowMs))
  return {
    requests: requests?.reduce((sum, { value }) => sum + value, 0),
    runsOut: {
      api_requests_per_month: when(requests, quotas.api_requests_per_month, monthlyRunOut),
      storage_bytes: when(documents, quotas.storage_bytes, storageRunOut),
      file_storage_bytes: when(files, quotas.file_storage_bytes, storageRunOut),
    },
  }
}

function Meter(props: {
  quota: (typeof QUOTAS)[number]
  limit: number | null
  used: number | undefined
  runsOut: Date | undefined
}) {
  const { quota, limit, used, runsOut } = props
  const limitText = limit === null ? 'unlimited' : quota.format(limit)
  const share = used === undefined || limit === null || limit === 0 ? undefined : used / limit
  return (
    <div>
      <Text size="xs" c="dimmed">
        {quota.label}
      </Text>
      <Text size="sm" className="figures">
        {used === undefined ? limitText : `${quota.format(used)} of ${limitText}`}
      </Text>
      {share !== undefined && (
        <Progress
          mt={6}
          size="sm"
          value={Math.min(100, share * 100)}
          color={COLORS[toneOfShare(share)]}
          aria-label={`${quota.label}: ${formatShare(share)} used`}
        />
      )}
      {used !== undefined && limit !== null && (
        <Text size="xs" c={runsOut === undefined ? 'dimmed' : 'var(--warn)'} mt={4}>
          {used >= limit ? 'Used up' : `${quota.format(limit - used)} left`}
          {runsOut !== undefined && `, until about ${formatDate(runsOut.getTime())} at this pace`}
        </Text>
      )}
    </div>
  )
}
