import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import { problemResponse, renderProblems, requestIdMiddleware } from '../../runtime/hono-service.ts'
import type { Logger } from '../../runtime/log.ts'
import { Problem } from '../../runtime/problem.ts'
import { StatusReader } from '../status/read-status.ts'
import { statusRoutes } from '../status/status-routes.ts'
import { accessGrantRoutes } from './access-grants.ts'
import { alertRoutes } from './alerts.ts'
import { auditLogRoutes } from './audit-log.ts'
import { requirePlatformKey } from './authentication.ts'
import { backendRoutes } from './backends.ts'
import { billingRoutes, estimateRoutes } from './billing.ts'
import { resumeCreate } from './create-tenant.ts'
import { dashboardRoutes } from './dashboard.ts'
import { mountDocs } from './docs.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { grantedAccessRoutes } from './granted-access.ts'
import { idempotency } from './idempotency.ts'
import { internalRoutes } from './internal.ts'
import { operationRoutes } from './operations.ts'
import { overviewRoutes } from './overview.ts'
import { planRoutes } from './plans.ts'
import { platformKeyRoutes } from './platform-keys.ts'
import { serverRoutes } from './servers.ts'
import { findSessionOf, sessionRoutes, signInRoutes } from './session.ts'
import { stripeWebhookRoutes } from './stripe-webhook.ts'
import { tenantBillingRoutes } from './tenant-billing.ts'
import { tenantExportRoutes } from './tenant-export.ts'
import { tenantJwtRoutes } from './tenant-jwt.ts'
import { tenantKeyRoutes } from './tenant-keys.ts'
import { tenantNameRoutes } from './tenant-names.ts'
import { tenantNodeRoutes } from './tenant-nodes.ts'
import { tenantSideRoutes } from './tenant-side.ts'
import { tenantRoutes } from './tenants.ts'
import { upgradeRoutes } from './upgrades.ts'
import { usageRoutes } from './usage.ts'
import { problemOfHttpException, validationHook } from './validation.ts'
import { webhookRoutes } from './webhooks.ts'

const MAX_BODY_BYTES = 64 * 1_024

/**
 * The platform API, and the dashboard over it. A request's way: id → body limit → (public: health, document, docs, prices, status,
 * sign-in) → platform key or session → role → Idempotency-Key → validation → handler; every fault is rendered once, here.
 */
export function makeApp(
  services: AppServices,
  log: Logger,
  /** Routes of other parts of control, behind the same platform key. */
  further: readonly OpenAPIHono<AppEnv>[] = [],
): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  renderProblems(app)
  app.onError((fault, c) => problemResponse(c, problemOfHttpException(fault)))
  app.openAPIRegistry.registerComponent('securitySchemes', 'platformKey', { type: 'http', scheme: 'bearer' })

  app.use(requestIdMiddleware(log))
  app.use(async (c, next) => {
    await next()
    c.header('X-Content-Type-Options', 'nosniff')
    if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'no-store')
  })
  // Before the body limit, and without a platform key: Stripe's signature lets it in.
  app.route('/', stripeWebhookRoutes(services))
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new Problem(413, 'body_too_large', { detail: `A body has at most ${MAX_BODY_BYTES} bytes.` })
      },
    }),
  )

  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  mountDocs(app)
  // The price list is public: a price nobody can read sells nothing.
  app.route('/', planRoutes(services.catalogue))
  app.route('/', estimateRoutes(services))
  app.route('/', statusRoutes(new StatusReader(services)))

  app.route('/', internalRoutes(services))
  app.route('/', tenantSideRoutes(services))

  app.route('/', signInRoutes(services))
  app.use(
    '/v1/*',
    requirePlatformKey(services.pool, (c) => findSessionOf(c, services), services.failedKeys),
  )
  app.use(
    '/v1/*',
    idempotency(services, (operationId) => resumeCreate(services, operationId)),
  )
  app.route('/', sessionRoutes(services))
  app.route('/', tenantRoutes(services))
  app.route('/', tenantNameRoutes(services))
  app.route('/', tenantKeyRoutes(services))
  app.route('/', tenantNodeRoutes(services))
  app.route('/', tenantExportRoutes(services))
  app.route('/', tenantJwtRoutes(services))
  app.route('/', usageRoutes(services))
  app.route('/', operationRoutes(services))
  app.route('/', serverRoutes(services))
  app.route('/', overviewRoutes(services))
  app.route('/', upgradeRoutes(services))
  app.route('/', platformKeyRoutes(services))
  app.route('/', auditLogRoutes(services))
  app.route('/', accessGrantRoutes(services))
  app.route('/', grantedAccessRoutes(services))
  app.route('/', backendRoutes(services))
  app.route('/', webhookRoutes(services))
  app.route('/', billingRoutes(services))
  app.route('/', tenantBillingRoutes(services))
  app.route('/', alertRoutes(services))
  for (const routes of further) app.route('/', routes)
  // Last: what is no address of the API is a page.
  if (services.dashboard === undefined) app.get('/', (c) => c.redirect('/docs'))
  else app.route('/', dashboardRoutes(services.dashboard))
  return app
}
