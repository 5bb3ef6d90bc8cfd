import { Hono } from 'hono'
import { Problem } from '../../runtime/problem.ts'
import type { TenantVariables } from '../request-contexts.ts'
import { BROADCAST_PATH } from './http-broadcast.ts'
import type { Realtime } from './realtime.ts'

/** The routes under `/realtime/v1/api/broadcast`; who asks has been verified before. */
export function broadcastApi(realtime: Realtime, maxBodyBytes: number) {
  const app = new Hono<{ Variables: TenantVariables }>()
  app.post('/*', async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer())
    if (body.length > maxBodyBytes)
      throw new Problem(413, 'body_too_large', { detail: `The body is larger than ${maxBodyBytes} bytes.` })
    const url = new URL(c.req.url)
    await realtime.broadcast({
      path: url.pathname === `${BROADCAST_PATH}/` ? BROADCAST_PATH : url.pathname,
      query: url.searchParams,
      contentType: c.req.header('content-type') ?? '',
      body,
      context: c.get('caller').context,
    })
    return c.body(null, 202)
  })
  return app
}
