import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { tenantNameSchema } from '../../tenancy/tenant.ts'
import { isNameTaken } from '../stores/tenant-store.ts'
import { allow } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { BEARER, json, problems } from './responses.ts'
import { validationHook } from './validation.ts'

const availabilitySchema = z
  .object({
    name: z.string(),
    available: z.boolean(),
    reasons: z.array(z.string()).openapi({ description: 'The rules that it breaks; empty when it is free.' }),
  })
  .openapi('NameAvailability')

const checkRoute = createRoute({
  method: 'get',
  path: '/v1/tenant-names/{name}',
  summary: 'Whether a name can be given to a new tenant',
  description: 'For forms. Only a create decides: somebody else may take the name meanwhile.',
  security: BEARER,
  request: { params: z.object({ name: z.string().max(100) }) },
  responses: { 200: json(availabilitySchema, 'Whether it is free.'), ...problems(400, 401, 404) },
})

/** `/v1/tenant-names/{name}` */
export function tenantNameRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  app.openapi({ ...checkRoute, middleware: allow('tenants', 'see') }, async (c) => {
    const { name } = c.req.valid('param')
    const checked = tenantNameSchema.safeParse(name)
    const reasons = checked.success
      ? (await isNameTaken(services.pool, name))
        ? ['is taken by another tenant']
        : []
      : checked.error.issues.map((issue) => issue.message)
    return c.json({ name, available: reasons.length === 0, reasons }, 200)
  })
  return app
}
