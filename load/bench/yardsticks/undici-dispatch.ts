import type { ProxyContext, Yardstick } from '../yardstick.ts'
import { startNodeServer } from './node-server.ts'

/** The bare undici dispatch pass-through that the gateway's floor is stated against. */
export const undiciDispatch: Yardstick<ProxyContext> = {
  name: 'undici',
  title: 'bare undici dispatch pass-through',
  start: ({ upstreamPort, connections, cores }) =>
    startNodeServer('undici-dispatch.ts', [upstreamPort, connections], cores.served),
}
