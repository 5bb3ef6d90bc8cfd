import { QueryCache, QueryClient } from '@tanstack/react-query'
import { PlatformProblem } from './client.ts'
import { SESSION_KEY } from './session-key.ts'

/** Lists and figures follow the platform by asking again this often while the page is looked at. */
export const LIVE_MS = 5_000

/** One cache for all pages. What was refused is not asked again; what could not be reached is, twice. */
export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (fault, query) => {
      // The session is over, or its key was revoked: back to the door.
      if (fault instanceof PlatformProblem && fault.status === 401 && query.queryKey[0] !== SESSION_KEY[0])
        queryClient.setQueryData(SESSION_KEY, null)
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (failures, fault) =>
        failures < 2 && fault instanceof PlatformProblem && (fault.status === 0 || fault.status >= 502),
    },
  },
})
