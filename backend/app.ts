import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { renderProblems, requestIdMiddleware } from '../runtime/hono-service.ts'
import type { Logger } from '../runtime/log.ts'
import { asProblem, PROBLEM_CONTENT_TYPE, toProblemDocument } from '../runtime/problem.ts'
import { CONTEXT_HEADER } from '../tenancy/request-context.ts'
import type { Catalogues } from './catalogue/catalogues.ts'
import { healthApi } from './health.ts'
import { readBody } from './http-body.ts'
import { contextStatement } from './postgres/principal.ts'
import type { Servers } from './postgres/servers.ts'
import type { RequestContexts, TenantVariables } from './request-contexts.ts'
import type { RestResponse } from './rest/respond/rest-response.ts'
import type { Rest, RunStatement } from './rest/rest.ts'
import { Collections } from './schema/collections.ts'
import { schemaApi } from './schema/schema-api.ts'
import type { StorageGate } from './storage-size/storage-gate.ts'

export type AppOptions = {
  contexts: RequestContexts
  servers: Servers
  catalogues: Catalogues
  rest: Rest
  gate: StorageGate
  maxBodyBytes: number
  log: Logger
}

const REST = '/rest/v1'
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The service as a listener: rows (`/rest/v1`) straight over Node's HTTP, for speed; all else through Hono. */
export function makeApp(options: AppOptions): RequestListener {
  const others = getRequestListener(makeHonoApp(options).fetch, { overrideGlobalObjects: false })
  return (request, response) => {
    const url = request.url ?? '/'
    const isRest = url.startsWith(REST) && (url.length === REST.length || '/?'.includes(url.charAt(REST.length)))
    if (isRest) void serveRest(options, request, response)
    else void others(request, response)
  }
}

function makeHonoApp({ contexts, servers, catalogues, log }: AppOptions) {
  const app = new Hono<{ Variables: TenantVariables }>()
  renderProblems(app)
  app.use(requestIdMiddleware(log))
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.use(async (c, next) => {
    c.set('caller', contexts.read({ [CONTEXT_HEADER]: c.req.header(CONTEXT_HEADER) }))
    await next()
  })
  app.route('/health', healthApi(servers))
  app.route(
    '/schema/v1',
    schemaApi(async ({ server, principal }) => new Collections(catalogues, await servers.find(server), principal)),
  )
  return app
}

async function serveRest(options: AppOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const inbound = request.headers['x-request-id']
  const requestId = typeof inbound === 'string' && REQUEST_ID.test(inbound) ? inbound : randomUUID()
  try {
    const caller = options.contexts.read(request.headers)
    const method = request.method ?? 'GET'
    const hasBody = method !== 'GET' && method !== 'HEAD'
    const body = hasBody ? await readBody(request, options.maxBodyBytes) : ''
    const server = options.servers.peek(caller.server) ?? (await options.servers.find(caller.server))
    const url = request.url ?? REST
    const question = url.indexOf('?')
    const { principal } = caller
    const quota = caller.context.quotas.storage_bytes
    const run: RunStatement = (statement, access) =>
      access === 'write' && quota !== null
        ? options.gate.runWrite(server, principal, quota, Buffer.byteLength(body), statement)
        : server.requests.run(principal.tenantId, [contextStatement(principal), statement])
    const answer = await options.rest.handle(
      {
        method,
        path: question < 0 ? url.slice(REST.length) : url.slice(REST.length, question),
        search: question < 0 ? '' : url.slice(question + 1),
        headers: request.headers,
        body,
      },
      { server, principal, run },
    )
    send(response, requestId, answer, method)
  } catch (fault) {
    const problem = asProblem(fault)
    if (problem.status >= 500)
      options.log.error({ err: problem.cause ?? problem, code: problem.code, request_id: requestId }, 'request failed')
    send(
      response,
      requestId,
      {
        status: problem.status,
        headers: { ...problem.headers, 'Content-Type': PROBLEM_CONTENT_TYPE },
        body: JSON.stringify(toProblemDocument(problem, requestId)),
      },
      request.method ?? 'GET',
    )
  }
}

function send(response: ServerResponse, requestId: string, answer: RestResponse, method: string): void {
  if (response.destroyed) return
  const headers: Record<string, string | number> = { ...answer.headers, 'X-Request-Id': requestId }
  const mayHaveBody = method !== 'HEAD' && answer.status !== 204
  if (mayHaveBody) headers['Content-Length'] = Buffer.byteLength(answer.body)
  response.writeHead(answer.status, headers)
  response.end(mayHaveBody ? answer.body : undefined)
}
