import { Anchor, Button, Group, Paper, SimpleGrid, Stack, Tabs, Text, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { type ComponentType, lazy, Suspense } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { useRight, useSession } from '../api/session.ts'
import { type Tenant, tenantQuery, usePatchTenant, useRestoreTenant } from '../api/tenants.ts'
import { CopyText } from '../parts/copy-text.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { PageLoading } from '../parts/page-loading.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone, reportFailed } from '../parts/report.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'
import { ChangePlan } from './change-plan.tsx'
import { DeleteTenant } from './delete-tenant.tsx'
import { MoveTenant } from './move-tenant.tsx'
import { QuotaCard } from './quota-card.tsx'

const UsageCharts = lazy(async () => ({ default: (await import('./usage-charts.tsx')).UsageCharts }))

type TabProps = { tenant: Tenant; tenantId: string }

/** What is shown of a tenant beside the overview, each to whom its area is open, and loaded when it is gone to. */
const TABS: readonly { id: string; title: string; area: string; Content: ComponentType<TabProps> }[] = [
  { id: 'keys', title: 'Keys', area: 'tenantKeys', Content: tab(async () => (await import('./keys-tab.tsx')).KeysTab) },
  {
    id: 'availability',
    title: 'Availability',
    area: 'sla',
    Content: tab(async () => (await import('./availability-tab.tsx')).AvailabilityTab),
  },
  {
    id: 'invoices',
    title: 'Invoices',
    area: 'invoices',
    Content: tab(async () => (await import('./invoices-tab.tsx')).InvoicesTab),
  },
  {
    id: 'access',
    title: 'Access',
    area: 'accessGrants',
    Content: tab(async () => (await import('./access-tab.tsx')).AccessTab),
  },
  {
    id: 'history',
    title: 'History',
    area: 'auditLog',
    Content: tab(async () => (await import('./history-tab.tsx')).HistoryTab),
  },
]

function tab(load: () => Promise<ComponentType<TabProps>>): ComponentType<TabProps> {
  return lazy(async () => ({ default: await load() }))
}

/** One tenant: what it is, what it uses of what it may, how that went over the month, and what can be done with it. */
export function TenantPage() {
  const { tenantId = '', tab: chosen = 'overview' } = useParams()
  const navigate = useNavigate()
  const { data: session } = useSession()
  const { data, error, refetch } = useQuery(tenantQuery(tenantId))
  if (data === undefined) {
    if (error !== null) return <ProblemAlert fault={error} onRetry={() => void refetch()} />
    return <PageLoading />
  }
  const { tenant, etag } = data
  const tabs = TABS.filter(({ area }) => session?.rights[area]?.see === true)
  return (
    <>
      <PageHeader
        title={tenant.name}
        before={
          <Anchor component={Link} to="/tenants" size="sm">
            Tenants
          </Anchor>
        }
        detail={<StatusDot status={tenant.status} />}
      >
        <Actions tenant={tenant} etag={etag} />
      </PageHeader>
      <Tabs
        value={chosen}
        keepMounted={false}
        onChange={(next) => void navigate(`/tenants/${tenantId}${next === 'overview' ? '' : `/${next}`}`)}
      >
        <Tabs.List mb="lg">
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          {tabs.map(({ id, title }) => (
            <Tabs.Tab key={id} value={id}>
              {title}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="overview">
          <Stack gap="lg">
            <Facts tenant={tenant} />
            <QuotaCard tenant={tenant} etag={etag} />
            <Suspense fallback={<PageLoading />}>
              <UsageCharts tenantId={tenant.tenant_id} />
            </Suspense>
          </Stack>
        </Tabs.Panel>
        {tabs.map(({ id, Content }) => (
          <Tabs.Panel key={id} value={id}>
            <Suspense fallback={<PageLoading />}>
              <Content tenant={tenant} tenantId={tenantId} />
            </Suspense>
          </Tabs.Panel>
        ))}
      </Tabs>
    </>
  )
}

function Facts({ tenant }: { tenant: Tenant }) {
  const facts = [
    ['Plan', tenant.plan],
    ['Isolation', tenant.isolation],
    ['Region', tenant.region],
    ['Created', <TimeAgo key="created" at={tenant.created_at} />],
    ['Address', <Copied key="address" label="Copy the address" text={tenant.database_url} />],
    ['Id', <Copied key="id" label="Copy the id" text={tenant.tenant_id} />],
  ] as const
  return (
    <Paper p="lg">
      <Title order={2} mb="md">
        At a glance
      </Title>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
        {facts.map(([label, value]) => (
          <div key={label}>
            <Text size="xs" c="dimmed">
              {label}
            </Text>
            <Text size="sm" component="div" style={{ overflowWrap: 'anywhere' }}>
              {value}
            </Text>
          </div>
        ))}
      </SimpleGrid>
    </Paper>
  )
}

function Copied(props: { text: string; label: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      <span>{props.text}</span>
      <CopyText {...props} />
    </Group>
  )
}

/** What the tenant's state and the role allow; nothing else is offered. */
function Actions({ tenant, etag }: { tenant: Tenant; etag: string | undefined }) {
  const canAct = useRight('tenants', 'act')
  const patch = usePatchTenant(tenant.tenant_id)
  const restore = useRestoreTenant(tenant.tenant_id)
  const [deleting, remove] = useDisclosure()
  const [changing, change] = useDisclosure()
  const [moving, move] = useDisclosure()
  if (!canAct) return null
  const setStatus = (status: 'active' | 'suspended', done: string) =>
    patch.mutate(
      { patch: { status } },
      {
        onSuccess: ({ requestId }) => reportDone(`${tenant.name} ${done}.`, requestId),
        onError: (fault) => reportFailed(`${tenant.name} is as it was`, fault),
      },
    )
  if (tenant.status === 'deleted')
    return (
      <Button
        variant="default"
        loading={restore.isPending}
        onClick={() =>
          restore.mutate(undefined, {
            onSuccess: ({ requestId }) => reportDone(`${tenant.name} is being restored.`, requestId),
            onError: (fault) => reportFailed(`${tenant.name} is not restored`, fault),
          })
        }
      >
        Restore
      </Button>
    )
  return (
    <Group gap="xs">
      <Button variant="default" onClick={change.open}>
        Change plan
      </Button>
      <Button variant="default" onClick={move.open}>
        Move
      </Button>
      {tenant.status === 'suspended' ? (
        <Button variant="default" loading={patch.isPending} onClick={() => setStatus('active', 'serves again')}>
          Resume
        </Button>
      ) : (
        <Button variant="default" loading={patch.isPending} onClick={() => setStatus('suspended', 'is suspended')}>
          Suspend
        </Button>
      )}
      <Button color="red" variant="light" onClick={remove.open}>
        Delete
      </Button>
      <ChangePlan tenant={tenant} etag={etag} opened={changing} onClose={change.close} />
      <MoveTenant tenant={tenant} etag={etag} opened={moving} onClose={move.close} />
      <DeleteTenant tenant={tenant} opened={deleting} onClose={remove.close} />
    </Group>
  )
}
