import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { Problem } from '../../runtime/problem.ts'
import { requireOutboundUrl } from '../outreach/outbound-url.ts'
import { findTenant, lockTenant, type TenantRow, updateTenant } from '../stores/tenant-store.ts'
import { allow, notFound } from './authentication.ts'
import type { AppEnv, AppServices } from './environment.ts'
import { mutate } from './mutation.ts'
import { BEARER, json, jsonBody, problems } from './responses.ts'
import { tenantIdParamSchema } from './schemas.ts'
import { validationHook } from './validation.ts'

const setJwtSchema = z
  .strictObject({
    secret: z.string().min(32, 'must have at least 32 characters').max(4_096).nullable().optional(),
    jwks_url: z
      .url({ protocol: /^https?$/, message: 'must be an http or https URL' })
      .max(2_048)
      .nullable()
      .optional(),
    issuer: z.string().min(1).max(2_048).nullable().optional(),
    audience: z.string().min(1).max(2_048).nullable().optional(),
  })
  .refine((jwt) => !(typeof jwt.secret === 'string' && typeof jwt.jwks_url === 'string'), {
    path: ['secret'],
    message: 'cannot be set together with jwks_url',
  })
  .openapi('SetTenantJwt')

const jwtSchema = z
  .object({
    has_secret: z.boolean(),
    jwks_url: z.string().nullable(),
    issuer: z.string().nullable(),
    audience: z.string().nullable(),
  })
  .openapi('TenantJwt')

const putJwtRoute = createRoute({
  method: 'put',
  path: '/v1/tenants/{tenant_id}/jwt',
  summary: "Set how the tenant's JWTs are verified",
  description:
    'HS256 by `secret`, or RS256, ES256, EdDSA by `jwks_url`, which must not lead to a private address. It replaces what was set before.',
  security: BEARER,
  request: { params: tenantIdParamSchema, body: jsonBody(setJwtSchema) },
  responses: {
    200: json(jwtSchema, 'As it is now; the secret is never shown.'),
    ...problems(400, 401, 403, 404, 409, 415),
  },
})

const getJwtRoute = createRoute({
  method: 'get',
  path: '/v1/tenants/{tenant_id}/jwt',
  summary: "Read how the tenant's JWTs are verified",
  security: BEARER,
  request: { params: tenantIdParamSchema },
  responses: { 200: json(jwtSchema, 'As it is now; the secret is never shown.'), ...problems(401, 404) },
})

/** `/v1/tenants/{tenant_id}/jwt` */
export function tenantJwtRoutes(services: AppServices) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...getJwtRoute, middleware: allow('tenantKeys', 'see') }, async (c) => {
    const row = await findTenant(services.pool, c.req.valid('param').tenant_id)
    if (row === undefined) throw notFound()
    return c.json(renderJwt(row), 200)
  })

  app.openapi({ ...putJwtRoute, middleware: allow('tenantKeys', 'act') }, async (c) => {
    const { tenant_id } = c.req.valid('param')
    const jwt = c.req.valid('json')
    // Gateways and backends check each connection too: this tells whoever sets it, instead of their users.
    if (typeof jwt.jwks_url === 'string')
      await requireOutboundUrl(jwt.jwks_url, 'jwks_url', services.allowPrivateAddresses)
    const { body } = await mutate(c, services, async (change) => {
      const before = await lockTenant(change, tenant_id)
      if (before === undefined) throw notFound()
      if (before.status === 'deleting' || before.status === 'deleted' || before.status === 'failed')
        throw new Problem(409, 'tenant_not_changeable', { detail: `The tenant is ${before.status}.` })
      const after = await updateTenant(change, tenant_id, {
        jwt_sealed_secret: typeof jwt.secret === 'string' ? services.sealer.seal(jwt.secret, `jwt:${tenant_id}`) : null,
        jwt_jwks_url: jwt.jwks_url ?? null,
        jwt_issuer: jwt.issuer ?? null,
        jwt_audience: jwt.audience ?? null,
      })
      return {
        status: 200 as const,
        body: renderJwt(after),
        audit: { action: 'tenant_jwt.set', target: tenant_id, before: renderJwt(before), after: renderJwt(after) },
      }
    })
    return c.json(body, 200)
  })

  return app
}

function renderJwt(row: TenantRow) {
  return {
    has_secret: row.jwt_sealed_secret !== null,
    jwks_url: row.jwt_jwks_url,
    issuer: row.jwt_issuer,
    audience: row.jwt_audience,
  }
}
