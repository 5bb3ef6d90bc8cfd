import type { ProxyContext, Yardstick } from '../yardstick.ts'
import { startNodeServer } from './node-server.ts'

/** What a Hono application gets without further thought. */
export const honoProxy: Yardstick<ProxyContext> = {
  name: 'hono',
  title: 'Hono proxy helper over fetch',
  start: ({ upstreamPort, cores }) => startNodeServer('hono-proxy.ts', [upstreamPort], cores.served),
}
