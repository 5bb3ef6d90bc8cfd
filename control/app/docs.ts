import { randomBytes } from 'node:crypto'
import type { OpenAPIHono } from '@hono/zod-openapi'
import fastifyApiReference from '@scalar/fastify-api-reference'
import { Scalar } from '@scalar/hono-api-reference'
import type { AppEnv } from './environment.ts'

/**
 * The API reference at `/docs` over the document at `/v1/openapi.json`. Its script comes from us, not from a content
 * delivery network, and the policy of the page lets nothing be fetched from elsewhere.
 */
export function mountDocs(app: OpenAPIHono<AppEnv>): void {
  let document: string | undefined
  app.get('/v1/openapi.json', (c) => {
    // The routes do not change while we run; the document is made once.
    document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: '3.1.0',
        info: {
          title: 'AeroDB platform API',
          version: '1',
          description: 'Tenants, keys, usage and operations of AeroDB Managed Hosting.',
        },
        servers: [{ url: '/' }],
      }),
    )
    return c.body(document, 200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' })
  })

  let script: string | undefined
  app.get('/docs/scalar.js', async (c) => {
    script ??= await readReferenceScript()
    return c.body(script, 200, {
      'Content-Type': 'text/javascript; charset=utf-8',
      'Cache-Control': 'public, max-age=86400',
    })
  })

  app.get('/docs', async (c, next) => {
    const nonce = randomBytes(16).toString('base64')
    c.header(
      'Content-Security-Policy',
      `default-src 'self'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'`,
    )
    return Scalar<AppEnv>({
      url: '/v1/openapi.json',
      cdn: '/docs/scalar.js',
      nonce,
      pageTitle: 'AeroDB platform API',
      withDefaultFonts: false,
      telemetry: false,
    })(c, next)
  })
}

/**
 * The reference's browser bundle. Of Scalar's packages only the one for Fastify carries it (the others load it from a
 * network), as the answer of a route: we let the plugin register its routes with a stand-in and take that answer.
 */
async function readReferenceScript(): Promise<string> {
  type Route = { url: string; handler: (request: unknown, reply: Reply) => unknown }
  type Reply = { header: () => Reply; send: (body: string) => string }
  const routes: Route[] = []
  const standIn = { initialConfig: {}, hasPlugin: () => false, route: (route: Route) => routes.push(route) }
  const register = fastifyApiReference as unknown as (fastify: unknown, options: unknown, done: () => void) => void
  await new Promise<void>((resolve) => register(standIn, { configuration: { url: '/v1/openapi.json' } }, resolve))
  const route = routes.find((candidate) => candidate.url.endsWith('/scalar.js'))
  if (route === undefined) throw new Error('The API reference package no longer carries its script')
  let script = ''
  const reply: Reply = { header: () => reply, send: (body) => (script = body) }
  route.handler({}, reply)
  return script
}
