import { serve } from '@hono/node-server'
import type { Lifecycle } from '../runtime/lifecycle.ts'

/**
 * Serves on an address; port 0 picks a free one. Stopping lets requests that are under way end.
 * @throws when the port is taken.
 */
export function listen(
  fetch: Parameters<typeof serve>[0]['fetch'],
  hostname: string,
  port: number,
  lifecycle: Pick<Lifecycle, 'onStop'>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname }, (address) => {
      lifecycle.onStop('http server', async () => {
        const closed = new Promise<void>((done) => server.close(() => done()))
        if ('closeIdleConnections' in server) server.closeIdleConnections()
        await closed
      })
      resolve(`http://${hostname}:${address.port}`)
    })
    server.once('error', reject)
  })
}
