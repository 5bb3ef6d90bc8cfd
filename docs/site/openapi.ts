import document from '../../client/openapi.json' with { type: 'json' }

/** A JSON Schema as far as the reference shows it. */
export type Schema = {
  $ref?: string
  type?: string | string[]
  description?: string
  enum?: unknown[]
  const?: unknown
  format?: string
  example?: unknown
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  description?: string
  schema: Schema
}

type Content = Record<string, { schema?: Schema }>

/** One call of the platform API. `name` is what it is looked up by: `POST /v1/tenants`. */
export type Operation = {
  name: string
  method: string
  path: string
  summary: string
  description: string | undefined
  isPublic: boolean
  parameters: readonly Parameter[]
  body: { mediaType: string; schema: Schema; required: boolean } | undefined
  responses: readonly {
    status: string
    description: string
    mediaTypes: readonly string[]
    schema: Schema | undefined
  }[]
}

type DocumentedOperation = {
  summary?: string
  description?: string
  security?: unknown[]
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Content }
  responses: Record<string, { description: string; content?: Content }>
}

const paths = document.paths as unknown as Record<string, Record<string, DocumentedOperation>>
const schemas = document.components.schemas as unknown as Record<string, Schema>

/** Every call of the document that control serves, in its order. */
export const OPERATIONS: readonly Operation[] = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([verb, documented]) => {
    const method = verb.toUpperCase()
    const [body] = Object.entries(documented.requestBody?.content ?? {})
    return {
      name: `${method} ${path}`,
      method,
      path,
      summary: documented.summary ?? `${method} ${path}`,
      description: documented.description,
      isPublic: documented.security === undefined,
      parameters: documented.parameters ?? [],
      body:
        body === undefined
          ? undefined
          : { mediaType: body[0], schema: body[1].schema ?? {}, required: documented.requestBody?.required === true },
      responses: Object.entries(documented.responses).map(([status, { description, content = {} }]) => ({
        status,
        description,
        mediaTypes: Object.keys(content),
        schema: Object.values(content)[0]?.schema,
      })),
    }
  }),
)

/** Follows a reference into the document's components. @throws Error when it leads nowhere. */
export function resolve(schema: Schema): Schema {
  if (schema.$ref === undefined) return schema
  const name = nameOf(schema) ?? ''
  const found = schemas[name]
  if (found === undefined) throw new Error(`${schema.$ref} is not in the document`)
  return found
}

/** The name that a schema has among the components. */
export function nameOf(schema: Schema): string | undefined {
  return schema.$ref?.split('/').at(-1)
}

/** A page of the reference: calls that are about the same thing. */
export type Group = { id: string; title: string; introduction: string; paths: RegExp }

/** Pages in the order of the sidebar. A call belongs to the first that its path matches. */
export const GROUPS: readonly Group[] = [
  {
    id: 'tenant-keys',
    title: 'Keys, JWTs and access',
    introduction:
      'A tenant has keys of its own (`anon`, `service`), may bring users with JWTs of its own issuer, and decides who of the platform may look at its data.',
    paths: /^\/v1\/tenants\/\{tenant_id\}\/(keys|jwt|access-grants)/,
  },
  {
    id: 'invoices',
    title: 'Invoices and spending',
    introduction:
      'Invoices are drafts while their month is open, then numbered without gaps and immutable; what was wrong is corrected by credit notes. [How bills are computed](../pricing.md).',
    paths: /^\/v1\/(invoices|revenue|stripe)|^\/v1\/tenants\/\{tenant_id\}\/(invoices|spend|customer|ledger|credits)/,
  },
  {
    id: 'usage',
    title: 'Usage and prices',
    introduction:
      'Usage is read from the ledger: a request is in it within five seconds of its response. Months are UTC and half-open. Plans and estimates are open to everybody.',
    paths: /^\/v1\/(usage-series|plans|pricing)|^\/v1\/tenants\/\{tenant_id\}\/usage/,
  },
  {
    id: 'health',
    title: 'SLA, status and alerts',
    introduction:
      'Uptime is measured from outside, through the gateway, down to the database of each tenant. Alerts are told by webhook, e-mail and Alertmanager.',
    paths: /^\/v1\/(status|alerts|silences|maintenance-windows|webhooks)|^\/v1\/tenants\/\{tenant_id\}\/sla/,
  },
  {
    id: 'tenants',
    title: 'Tenants and operations',
    introduction:
      'A tenant is created, changed, moved between degrees of isolation, suspended, deleted and restored here. What takes longer is an operation, which always ends.',
    paths: /^\/v1\/(tenants|tenant-names|operations)/,
  },
  {
    id: 'platform',
    title: 'The platform itself',
    introduction:
      'For those who run it: servers of the shared tier, registered backends, platform keys, the audit log, the isolation audit.',
    paths: /^\/v1\//,
  },
]

/** The calls of a page. */
export function operationsOf(group: Group): readonly Operation[] {
  return OPERATIONS.filter(({ path }) => GROUPS.find(({ paths }) => paths.test(path)) === group)
}
