import { METHOD_NAME_ALL } from 'hono/router'
import { RegExpRouter } from 'hono/router/reg-exp-router'
import type { Exchange } from './exchange.ts'

/** What a route does with an exchange; it sees to the answer itself. */
export type Serve = (exchange: Exchange) => void

export type Routes = { health: Serve; platform: Serve; tenant: Serve }

/**
 * Routes a tenant's request once, by Hono's router, to the pipeline that serves it. The router alone: an app around it would make a
 * context and a promise for each request. Paths are compared as they were sent; an encoded letter is no way to another route.
 */
export function makeRouter(routes: Routes): Serve {
  const router = new RegExpRouter<Serve>()
  // The first that was added comes first among those that match.
  router.add('GET', '/health', routes.health)
  router.add(METHOD_NAME_ALL, '/platform/v1/*', routes.platform)
  router.add(METHOD_NAME_ALL, '*', routes.tenant)
  return (exchange) => {
    // HEAD is routed as GET: its body is never written anyway.
    const method = exchange.method === 'HEAD' ? 'GET' : exchange.method
    const serve = router.match(method, exchange.path)[0][0]?.[0] ?? routes.tenant
    serve(exchange)
  }
}
