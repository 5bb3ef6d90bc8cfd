import { randomUUID } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import type { Registry } from 'prom-client'
import { renderProblems, requestIdMiddleware } from '../runtime/hono-service.ts'
import type { LinkHandler } from '../runtime/link/link-server.ts'
import type { Logger } from '../runtime/log.ts'
import { asProblem, PROBLEM_CONTENT_TYPE, toProblemDocument } from '../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER } from '../runtime/service-token.ts'
import { CONTEXT_HEADER } from '../tenancy/request-context.ts'
import type { Catalogues } from './catalogue/catalogues.ts'
import { healthApi } from './health.ts'
import { readBody } from './http-body.ts'
import { makeLinkHandler, type RequestHead } from './link.ts'
import { contextStatement } from './postgres/principal.ts'
import { prefersReplica } from './postgres/replica-reads.ts'
import type { Servers } from './postgres/servers.ts'
import { broadcastApi } from './realtime/broadcast-api.ts'
import { BROADCAST_PATH } from './realtime/http-broadcast.ts'
import type { Realtime } from './realtime/realtime.ts'
import type { RequestContexts, TenantVariables } from './request-contexts.ts'
import type { RestResponse } from './rest/respond/rest-response.ts'
import type { Rest, RunStatement } from './rest/rest.ts'
import { Collections } from './schema/collections.ts'
import { schemaApi } from './schema/schema-api.ts'
import { sqlApi } from './sql/sql-api.ts'
import { isStorage } from './storage/listener.ts'
import { upgradeApi } from './storage/upgrade-api.ts'
import type { StorageGate } from './storage-size/storage-gate.ts'

export type AppOptions = {
  contexts: RequestContexts
  servers: Servers
  catalogues: Catalogues
  rest: Rest
  gate: StorageGate
  /** Answers `/storage/v1`. */
  storage: RequestListener
  realtime: Realtime
  /** Whether a service token is control's. */
  isControl: (token: string | undefined) => boolean
  metrics: Registry
  maxBodyBytes: number
  log: Logger
}

const REST = '/rest/v1'
/** A tenant's own SQL may take longer than a request on rows, and its result is held in memory as a whole. */
const SQL_TIMEOUT_MS = 30_000
const SQL_MAX_ROWS = 50_000
const READ_ONLY = { text: `select set_config('transaction_read_only', 'on', true)`, values: [] }
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The service as its two ways in take it: Node's HTTP server, and the link to the gateways. */
export type App = { listener: RequestListener; link: LinkHandler }

/** Rows (`/rest/v1`) are served straight, for speed, and files (`/storage/v1`) are streamed; all else goes through Hono. */
export function makeApp(options: AppOptions): App {
  const hono = makeHonoApp(options)
  const others = getRequestListener(hono.fetch, { overrideGlobalObjects: false })
  const serve = (head: RequestHead, readWholeBody: () => Promise<string>) => answerRest(options, head, readWholeBody)
  return {
    listener: (request, response) => {
      const { method = 'GET', url = '/', headers } = request
      if (isStorage(url)) return options.storage(request, response)
      if (!isRest(url)) return void others(request, response)
      const answering = serve({ method, url, headers }, () => readBody(request, options.maxBodyBytes))
      void answering.then((answer) => send(response, answer))
    },
    link: makeLinkHandler({
      isRest,
      serve,
      fetch: hono.fetch,
      onFault: (fault) => problemAnswer(fault, randomUUID(), options.log),
      maxBodyBytes: options.maxBodyBytes,
    }),
  }
}

function isRest(url: string): boolean {
  return url.startsWith(REST) && (url.length === REST.length || '/?'.includes(url.charAt(REST.length)))
}

function makeHonoApp({ contexts, servers, catalogues, isControl, realtime, metrics, maxBodyBytes, log }: AppOptions) {
  const app = new Hono<{ Variables: TenantVariables }>()
  renderProblems(app)
  app.use(requestIdMiddleware(log))
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  // A tenant's request has a context, by which it is told from Prometheus on the private network: it finds nothing here.
  app.get('/metrics', async (c, next) =>
    c.req.header(CONTEXT_HEADER) === undefined
      ? c.body(await metrics.metrics(), 200, { 'Content-Type': metrics.contentType })
      : next(),
  )
  app.route('/internal/v1/objects', upgradeApi(servers, isControl, SERVICE_TOKEN_HEADER))
  app.use(async (c, next) => {
    c.set('caller', contexts.read({ [CONTEXT_HEADER]: c.req.header(CONTEXT_HEADER) }))
    await next()
  })
  app.route('/health', healthApi(servers))
  app.route(
    '/schema/v1',
    schemaApi(async ({ server, principal }) => new Collections(catalogues, await servers.find(server), principal)),
  )
  app.route('/sql/v1', sqlApi(servers, { statementTimeoutMs: SQL_TIMEOUT_MS, maxRows: SQL_MAX_ROWS }))
  app.route(BROADCAST_PATH, broadcastApi(realtime, maxBodyBytes))
  return app
}

/** What is sent for a request on rows: with the request id, and a body only where the method and status allow one. */
async function answerRest(
  options: AppOptions,
  { method, url, headers }: RequestHead,
  readWholeBody: () => Promise<string>,
): Promise<RestResponse> {
  const inbound = headers['x-request-id']
  const requestId = typeof inbound === 'string' && REQUEST_ID.test(inbound) ? inbound : randomUUID()
  let answer: RestResponse
  try {
    const caller = options.contexts.read(headers)
    const hasBody = method !== 'GET' && method !== 'HEAD'
    const body = hasBody ? await readWholeBody() : ''
    const server =
      options.servers.peek(caller.server) ?? (await options.servers.findFor(caller.principal.tenantId, caller.server))
    const question = url.indexOf('?')
    const { principal } = caller
    const quota = caller.context.quotas.storage_bytes
    const mayBeOld = prefersReplica(headers.prefer)
    let lagMs: number | undefined
    const run: RunStatement = async (statement, access, epilogue = []) => {
      if (access === 'write' && quota !== null)
        return options.gate.runWrite(server, principal, quota, Buffer.byteLength(body), [statement, ...epilogue])
      const statements = [
        contextStatement(principal),
        ...(access === 'read-only' ? [READ_ONLY] : []),
        statement,
        ...epilogue,
      ]
      if (mayBeOld && access !== 'write' && access !== 'delete') {
        const read = await server.replicas.run(principal.tenantId, statements)
        lagMs = read?.lagMs
        if (read !== undefined) return read.outcome
      }
      return server.requests.run(principal.tenantId, statements)
    }
    answer = await options.rest.handle(
      {
        method,
        path: question < 0 ? url.slice(REST.length) : url.slice(REST.length, question),
        search: question < 0 ? '' : url.slice(question + 1),
        headers,
        body,
      },
      { server, principal, run },
    )
    if (lagMs !== undefined) answer = tellLag(answer, lagMs)
  } catch (fault) {
    answer = problemAnswer(fault, requestId, options.log)
  }
  const mayHaveBody = method !== 'HEAD' && answer.status !== 204
  const length = mayHaveBody ? { 'Content-Length': String(Buffer.byteLength(answer.body)) } : {}
  return {
    status: answer.status,
    headers: { ...answer.headers, 'X-Request-Id': requestId, ...length },
    body: mayHaveBody ? answer.body : '',
  }
}

/** Says that the answer came from a standby, and how old what it shows is at most. */
function tellLag(answer: RestResponse, lagMs: number): RestResponse {
  const applied = answer.headers['Preference-Applied']
  return {
    ...answer,
    headers: {
      ...answer.headers,
      'Preference-Applied': applied === undefined ? 'read-replica' : `${applied}, read-replica`,
      'AeroDB-Replica-Lag-Ms': String(lagMs),
    },
  }
}

function problemAnswer(fault: unknown, requestId: string, log: Logger): RestResponse {
  const problem = asProblem(fault)
  if (problem.status >= 500)
    log.error({ err: problem.cause ?? problem, code: problem.code, request_id: requestId }, 'request failed')
  return {
    status: problem.status,
    headers: { ...problem.headers, 'Content-Type': PROBLEM_CONTENT_TYPE },
    body: JSON.stringify(toProblemDocument(problem, requestId)),
  }
}

function send(response: ServerResponse, answer: RestResponse): void {
  if (response.destroyed) return
  response.writeHead(answer.status, answer.headers)
  response.end(answer.body === '' ? undefined : answer.body)
}
