import { createBrowserRouter, isRouteErrorResponse, redirect, useRouteError } from 'react-router'
import { EmptyState } from '../parts/empty-state.tsx'
import { PageLoading } from '../parts/page-loading.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { Shell } from './shell.tsx'

/** Pages are loaded when they are gone to; what they draw charts with only where there are some. */
export const router = createBrowserRouter([
  {
    element: <Shell />,
    hydrateFallbackElement: <PageLoading />,
    children: [
      {
        errorElement: <PageFault />,
        children: [
          { index: true, loader: () => redirect('/overview') },
          {
            path: 'overview',
            lazy: async () => ({ Component: (await import('../platform/overview-page.tsx')).OverviewPage }),
          },
          {
            path: 'pricing',
            lazy: async () => ({ Component: (await import('../pricing/pricing-page.tsx')).PricingPage }),
          },
          {
            path: 'tenants',
            lazy: async () => ({ Component: (await import('../tenants/tenants-page.tsx')).TenantsPage }),
          },
          {
            path: 'tenants/:tenantId/:tab?',
            lazy: async () => ({ Component: (await import('../tenant/tenant-page.tsx')).TenantPage }),
          },
          {
            path: 'alerts',
            lazy: async () => ({ Component: (await import('../platform/alerts-page.tsx')).AlertsPage }),
          },
          {
            path: 'operations',
            lazy: async () => ({ Component: (await import('../platform/operations-page.tsx')).OperationsPage }),
          },
          {
            path: 'servers',
            lazy: async () => ({ Component: (await import('../platform/servers-page.tsx')).ServersPage }),
          },
          {
            path: 'isolation',
            lazy: async () => ({ Component: (await import('../platform/isolation-page.tsx')).IsolationPage }),
          },
          {
            path: 'webhooks',
            lazy: async () => ({ Component: (await import('../platform/webhooks-page.tsx')).WebhooksPage }),
          },
          {
            path: 'platform-keys',
            lazy: async () => ({ Component: (await import('../platform/platform-keys-page.tsx')).PlatformKeysPage }),
          },
          { path: '*', element: <NoPage /> },
        ],
      },
    ],
  },
])

function NoPage() {
  return (
    <EmptyState title="There is no such page">The address may be from an older version of the dashboard.</EmptyState>
  )
}

function PageFault() {
  const fault = useRouteError()
  return (
    <ProblemAlert
      fault={isRouteErrorResponse(fault) ? new Error(fault.statusText) : fault}
      onRetry={() => window.location.reload()}
    />
  )
}
