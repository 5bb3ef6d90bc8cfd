import { Hono } from 'hono'
import type { Exchange } from './exchange.ts'

/** What a route does with an exchange; it sees to the answer itself. */
export type Serve = (exchange: Exchange) => void

export type Routes = { health: Serve; platform: Serve; tenant: Serve }

/** The answer goes straight to Node's response; this only tells Hono that a handler took the request. */
const TAKEN = new Response(null)

type Bindings = { exchange: Exchange }

/** Routes a tenant's request once, by Hono, to the pipeline that serves it. */
export function makeRouter(routes: Routes): Serve {
  const app = new Hono<{ Bindings: Bindings }>()
  const to = (serve: Serve) => (c: { env: Bindings }) => {
    serve(c.env.exchange)
    return TAKEN
  }
  app.get('/health', to(routes.health))
  app.all('/platform/v1/*', to(routes.platform))
  app.all('*', to(routes.tenant))
  return (exchange) => {
    // Hono asks a request for its method and URL only. HEAD is routed as GET: its body is never written anyway.
    const method = exchange.method === 'HEAD' ? 'GET' : exchange.method
    const routed = { method, url: `http://h${exchange.path}` } as Request
    void app.fetch(routed, { exchange })
  }
}
