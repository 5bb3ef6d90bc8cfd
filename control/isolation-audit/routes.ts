import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { allow, notFound } from '../app/authentication.ts'
import type { AppEnv } from '../app/environment.ts'
import { BEARER, json, problems } from '../app/responses.ts'
import { timestampSchema } from '../app/schemas.ts'
import { validationHook } from '../app/validation.ts'
import { SEVERITIES } from './finding.ts'
import type { IsolationAudits } from './isolation-audits.ts'
import { type IsolationReport, reportForTenant } from './report.ts'
import type { ReportSigner } from './report-signature.ts'

const findingSchema = z
  .object({
    code: z.string().openapi({ description: 'Stable; the rule that is broken.' }),
    severity: z.enum(SEVERITIES),
    tenant: z.object({ tenant_id: z.string(), name: z.string().nullable() }).nullable(),
    server: z.string(),
    object: z.string(),
    what: z.string(),
    remedy: z.string(),
  })
  .openapi('IsolationFinding')

const reportSchema = z
  .object({
    version: z.literal(1),
    audited_at: timestampSchema,
    duration_ms: z.number().int(),
    ok: z.boolean(),
    servers: z.array(
      z.object({
        server: z.string(),
        database: z.string(),
        tenants: z.number().int(),
        tables: z.number().int(),
        statements: z.number().int(),
      }),
    ),
    canary: z.enum(['passed', 'failed', 'not_probed']),
    rules: z.array(z.object({ code: z.string(), promise: z.string(), findings: z.number().int() })),
    findings: z.array(findingSchema),
    unlisted: z.number().int(),
    accepted: z.array(findingSchema),
  })
  .openapi('IsolationReport')

const getRoute = createRoute({
  method: 'get',
  path: '/v1/isolation-audit',
  summary: 'The last report of the tenant isolation audit, signed',
  description:
    'With `tenant_id` the report as that tenant’s auditor may see it. `fresh=true` looks now. `jws` is the report signed with ' +
    'EdDSA; `/v1/isolation-audit/keys` has the public key.',
  security: BEARER,
  request: {
    query: z.object({ tenant_id: z.string().max(64).optional(), fresh: z.enum(['true', 'false']).optional() }),
  },
  responses: {
    200: json(z.object({ report: reportSchema, jws: z.string() }), 'The report.'),
    ...problems(400, 401, 404),
  },
})

const keySchema = z
  .object({ kty: z.string(), crv: z.string(), x: z.string(), kid: z.string(), alg: z.string(), use: z.string() })
  .openapi('IsolationReportKey')

const keysRoute = createRoute({
  method: 'get',
  path: '/v1/isolation-audit/keys',
  summary: 'The public key that reports are signed with, as a JWK set',
  security: BEARER,
  responses: {
    200: json(z.object({ keys: z.array(keySchema) }), 'A JWK set (RFC 7517).'),
    ...problems(401, 404),
  },
})

/** `/v1/isolation-audit`, for the roles that may read the audit log. */
export function isolationAuditRoutes(audits: IsolationAudits, signer: ReportSigner, pool: PostgresPool) {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })

  app.openapi({ ...getRoute, middleware: allow('auditLog', 'see') }, async (c) => {
    const { tenant_id: tenantId, fresh } = c.req.valid('query')
    const whole = fresh === 'true' ? await audits.run() : await audits.latest()
    const report = tenantId === undefined ? whole : await narrow(whole, tenantId)
    return c.json({ report: writable(report), jws: await signer.sign(report) }, 200)
  })

  app.openapi({ ...keysRoute, middleware: allow('auditLog', 'see') }, async (c) =>
    c.json({ keys: [await signer.publicKey()] }, 200),
  )

  async function narrow(report: IsolationReport, tenantId: string): Promise<IsolationReport> {
    const found = await pool.query<{ server: string | null }>(
      'select server from control.tenants where tenant_id = $1',
      [tenantId],
    )
    const [tenant] = found.rows
    if (tenant?.server == null) throw notFound()
    return reportForTenant(report, tenantId, tenant.server)
  }
  return app
}

/** A copy whose lists are the caller's own, as the schema's type has them. */
function writable(report: IsolationReport) {
  return {
    ...report,
    servers: [...report.servers],
    rules: [...report.rules],
    findings: [...report.findings],
    accepted: [...report.accepted],
  }
}
