import { serve } from '@hono/node-server'
import type { Lifecycle } from '../runtime/lifecycle.ts'

/**
 * Serves on the loopback address; 0 picks a free port. Stopping lets requests that are under way end.
 * @throws when the port is taken.
 */
export function listenOnLoopback(
  fetch: Parameters<typeof serve>[0]['fetch'],
  port: number,
  lifecycle: Pick<Lifecycle, 'onStop'>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: '127.0.0.1' }, (address) => {
      lifecycle.onStop('http server', async () => {
        const closed = new Promise<void>((done) => server.close(() => done()))
        if ('closeIdleConnections' in server) server.closeIdleConnections()
        await closed
      })
      resolve(`http://127.0.0.1:${address.port}`)
    })
    server.once('error', reject)
  })
}
