import { Button, Group, Paper, Progress, SimpleGrid, Text, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useRight } from '../api/session.ts'
import type { Quotas, Tenant } from '../api/tenants.ts'
import { formatBytes, formatCount, formatShare } from '../format.ts'
import { toneOfShare } from '../parts/mini-meter.tsx'
import { EditQuotas } from './edit-quotas.tsx'

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
          <Meter key={quota.id} quota={quota} tenant={tenant} />
        ))}
      </SimpleGrid>
      <EditQuotas tenant={tenant} etag={etag} opened={editing} onClose={edit.close} />
    </Paper>
  )
}

function Meter({ quota, tenant }: { quota: (typeof QUOTAS)[number]; tenant: Tenant }) {
  const limit = tenant.quotas[quota.id]
  const used = quota.used?.(tenant)
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
    </div>
  )
}
