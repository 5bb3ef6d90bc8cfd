import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { readTarget } from '../reconciler/upgrades.ts'
import { listFailedUpgrades, readUpgradeProgress } from '../stores/upgrade-store.ts'
import { allow } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { timestampSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const MAX_FAILURES = 50

const upgradesSchema = z
  .object({
    target: z.object({
      objects_version: z
        .number()
        .int()
        .openapi({ description: 'Schemas, roles, event triggers: what control lays down.' }),
      tables_version: z.number().int().nullable().openapi({
        description: 'Tables that backends make for tenants; `null` while no backend can be asked.',
      }),
    }),
    tenants: z.object({
      total: z.number().int(),
      current: z.number().int(),
      due: z.number().int(),
      paused: z.number().int().openapi({ description: 'They sleep, and are upgraded once they run.' }),
      failed: z.number().int().openapi({ description: 'Tried again after ten minutes.' }),
    }),
    failures: z.array(
      z.object({ tenant_id: z.string(), name: z.string(), error: z.string(), failed_at: timestampSchema }),
    ),
  })
  .openapi('Upgrades')

const readRoute = createRoute({
  method: 'get',
  path: '/v1/upgrades',
  summary: "How far the tenants' own objects are upgraded to this release",
  description: 'After a release they are upgraded one tenant after the other while they serve.',
  security: BEARER,
  responses: { 200: json(upgradesSchema, 'The progress.'), ...problems(401, 404) },
})

/** `/v1/upgrades` */
export function upgradeRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...readRoute, middleware: allow('operations', 'see') }, async (c) => {
    const target = await readTarget(services)
    const [tenants, failures] = await Promise.all([
      readUpgradeProgress(services.pool, target),
      listFailedUpgrades(services.pool, MAX_FAILURES),
    ])
    return c.json(
      {
        target: { objects_version: target.objects, tables_version: target.tables },
        tenants,
        failures: failures.map(({ failed_at, ...failure }) => ({ ...failure, failed_at: failed_at.toISOString() })),
      },
      200,
    )
  })
  return app
}
