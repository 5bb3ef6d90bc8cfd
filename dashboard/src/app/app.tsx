import { Center, Loader } from '@mantine/core'
import { RouterProvider } from 'react-router'
import { useSession } from '../api/session.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { router } from './router.tsx'
import { SignIn } from './sign-in.tsx'

/** Signed in: the pages; else the door to them. The address stays, so that a link that was followed leads there after it. */
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
  return session.data === null ? <SignIn /> : <RouterProvider router={router} />
}
