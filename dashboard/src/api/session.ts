import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Document, unwrap } from './client.ts'
import { SESSION_KEY } from './session-key.ts'

export type Session = Document<'Session'>

const sessionQuery = queryOptions({
  queryKey: SESSION_KEY,
  queryFn: async (): Promise<Session | null> => (await api.GET('/v1/session')).data ?? null,
  staleTime: 60_000,
  refetchInterval: 60_000,
})

/** Who is signed in; `null` when nobody is. */
export function useSession() {
  return useQuery(sessionQuery)
}

/** Whether the signed-in role may see, or change, an area. What it may not is not offered. */
export function useRight(area: string, verb: 'see' | 'act'): boolean {
  const { data } = useSession()
  return data?.rights[area]?.[verb] ?? false
}

export function useSignIn() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (key: string) => unwrap(await api.POST('/v1/session', { body: { key } })),
    onSuccess: (session) => client.setQueryData(SESSION_KEY, session),
  })
}

export function useSignOut() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async () => {
      await api.DELETE('/v1/session')
    },
    // Also when the platform is away: this browser forgets what it has seen.
    onSettled: () => {
      client.clear()
      client.setQueryData(SESSION_KEY, null)
    },
  })
}
