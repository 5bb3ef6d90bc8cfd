import { randomBytes } from 'node:crypto'
import type { Context } from 'hono'
import { Hono } from 'hono'
import type { DashboardFile, DashboardFiles } from './dashboard-files.ts'
import type { AppEnv } from './environment.ts'
import { isEncrypted } from './same-origin.ts'

/** What the pages' markup has in place of the nonce (`dashboard/vite.config.ts`). */
const NONCE_PLACE = '__CSP_NONCE__'
/** Addresses of programs: never answered with a page. */
const NOT_PAGES = /^\/(?:v1|docs|healthz|internal|platform|assets)(?:\/|$)/

/**
 * The dashboard. Files with a hash in their name are kept by browsers for ever; the pages
 * are asked for each time and carry a nonce of their own, so that nothing runs or styles that we did not send.
 */
export function dashboardRoutes(files: DashboardFiles) {
  const app = new Hono<AppEnv>()
  const page = (path: string) => {
    const text = new TextDecoder().decode(files.get(path)?.plain)
    return (c: Context<AppEnv>) => {
      const nonce = randomBytes(16).toString('base64')
      setSecurityHeaders(c, nonce)
      c.header('Cache-Control', 'no-cache')
      return c.html(text.replaceAll(NONCE_PLACE, nonce))
    }
  }
  const dashboard = page('/index.html')

  app.get('*', (c) => {
    const { path } = c.req
    const file = path.endsWith('.html') ? undefined : files.get(path)
    if (file !== undefined) return serveFile(c, file, path.startsWith('/assets/'))
    return NOT_PAGES.test(path) || path.includes('.') ? c.notFound() : dashboard(c)
  })
  return app
}

function serveFile(c: Context<AppEnv>, file: DashboardFile, isHashed: boolean): Response {
  const accepted = c.req.header('accept-encoding') ?? ''
  c.header('Content-Type', file.type)
  c.header('Vary', 'Accept-Encoding')
  c.header('Cache-Control', isHashed ? 'public, max-age=31536000, immutable' : 'public, max-age=3600')
  for (const encoding of ['br', 'gzip'] as const) {
    const body = file[encoding]
    if (body === undefined || !new RegExp(`\\b${encoding}\\b(?!\\s*;\\s*q=0(?:\\.0*)?\\s*(?:,|$))`).test(accepted))
      continue
    c.header('Content-Encoding', encoding)
    return c.body(body)
  }
  return c.body(file.plain)
}

function setSecurityHeaders(c: Context<AppEnv>, nonce: string): void {
  const policy = [
    `default-src 'none'`,
    `script-src 'self' 'nonce-${nonce}'`,
    `style-src 'self' 'nonce-${nonce}'`,
    `img-src 'self' data:`,
    `font-src 'self'`,
    `connect-src 'self'`,
    `frame-src 'self'`,
    `form-action 'self'`,
    `base-uri 'none'`,
    `frame-ancestors 'none'`,
  ]
  c.header('Content-Security-Policy', policy.join('; '))
  c.header('Referrer-Policy', 'no-referrer')
  c.header('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()')
  c.header('Cross-Origin-Opener-Policy', 'same-origin')
  c.header('X-Frame-Options', 'DENY')
  if (isEncrypted(c)) c.header('Strict-Transport-Security', 'max-age=31536000')
}
