import { Center, Loader } from '@mantine/core'
import { lazy, Suspense } from 'react'
import { RouterProvider } from 'react-router'
import { useSession } from '../api/session.ts'
import { PageLoading } from '../parts/page-loading.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { router } from './router.tsx'
import { SignIn } from './sign-in.tsx'

const PublicPricing = lazy(() => import('../pricing/public-pricing.tsx'))

/** Signed in: the pages; else the door to them, or the prices, which everybody may see. The address stays, so that a link that was followed leads there after it. */
export function App() {
  const session = useSession()
  if (session.data === undefined)
    return (
      <Center h="100dvh" p="md" component="main">
        {session.error === null ? (
          <Loader size="sm" aria-label="Loading" />
        ) : (
          <ProblemAlert fault={session.error} onRetry={() => void session.refetch()} />
        )}
      </Center>
    )
  if (session.data !== null) return <RouterProvider router={router} />
  return window.location.pathname === '/pricing' ? (
    <Suspense fallback={<PageLoading />}>
      <PublicPricing />
    </Suspense>
  ) : (
    <SignIn />
  )
}
