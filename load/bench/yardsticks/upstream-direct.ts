import type { ProxyContext, Yardstick } from '../yardstick.ts'

/** The upstream with no proxy in front of it: the ceiling of the load generator and the upstream, on their one core. */
export const upstreamDirect: Yardstick<ProxyContext> = {
  name: 'direct',
  title: 'upstream direct (the ceiling)',
  start: async ({ upstreamPort }) => ({ port: upstreamPort, pids: async () => [], stop: async () => {} }),
}
