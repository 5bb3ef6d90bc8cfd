import type { IncomingMessage, ServerResponse } from 'node:http'
import { TrieRouter } from 'hono/router/trie-router'
import type { UsageWriter } from '../../metering/contract.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import { Problem } from '../../runtime/problem.ts'
import type { RequestContext } from '../../tenancy/request-context.ts'
import { principalOf } from '../postgres/principal.ts'
import type { BlobStore } from './blobs/blob-store.ts'
import { asStorageProblem, storageProblems } from './errors.ts'
import { bucketRoutes } from './http/bucket-routes.ts'
import type { Route, RouteHandler, StorageCall } from './http/call.ts'
import { listRoutes } from './http/list-routes.ts'
import { objectRoutes } from './http/object-routes.ts'
import { refuse } from './http/refuse.ts'
import { resumableRoutes } from './http/resumable-routes.ts'
import { signedRoutes } from './http/signed-routes.ts'
import { unavailableRoutes } from './http/unavailable-routes.ts'
import { type StatementExecutor, StorageSession, subjectOf } from './session.ts'
import { UrlSigner } from './signed-url.ts'
import { Background } from './steps/background.ts'
import { UsageRecorder } from './steps/record-usage.ts'
import type { Checkpoint, StorageServices } from './steps/services.ts'
import { Sweeper } from './steps/sweep.ts'
import { UploadLocks } from './steps/upload-locks.ts'
import { BucketStore } from './stores/bucket-store.ts'
import { ListingStore } from './stores/listing-store.ts'
import { ObjectStore } from './stores/object-store.ts'
import { ResumableStore } from './stores/resumable-store.ts'

export type StorageApiOptions = {
  executor: StatementExecutor
  blobs: BlobStore
  usage: UsageWriter
  /** Secrets under which URLs are signed; the first signs, every one verifies. */
  urlSecrets: readonly string[]
  /** Upper bound for any object, in bytes; at most 5 GB. */
  maxObjectBytes: number
  clock: Clock
  log: Logger
  /** A body that stands still for this long is given up. */
  bodyIdleMs?: number
  /** How often a tenant is swept at most. */
  sweepEveryMs?: number
  /** Called between the durable steps of a change; tests kill the process there. */
  checkpoint?: (moment: Checkpoint) => void
}

/** Where the API lies; addresses below it are as in Supabase Storage. */
export const STORAGE_PATH = '/storage/v1'

/** How long the end of the process waits for background work; the sweeper does what is left. */
const DRAIN_MS = 5_000

/** Everything before the first route of a more general shape. */
const ROUTES: readonly Route[] = [
  ...unavailableRoutes,
  ...bucketRoutes,
  ...listRoutes,
  ...signedRoutes,
  ...resumableRoutes,
  ...objectRoutes,
]

/** `/storage/v1`: route → session → step → response, and every fault rendered once, here. */
export class StorageApi {
  readonly #executor: StatementExecutor
  readonly #services: StorageServices
  readonly #sweeper: Sweeper
  readonly #locks = new UploadLocks()
  readonly #router = new TrieRouter<RouteHandler>()

  constructor(options: StorageApiOptions) {
    const background = new Background(options.log)
    this.#executor = options.executor
    this.#services = {
      buckets: new BucketStore(),
      objects: new ObjectStore(),
      listings: new ListingStore(),
      uploads: new ResumableStore(),
      blobs: options.blobs,
      signer: new UrlSigner(options.urlSecrets, options.clock),
      usage: new UsageRecorder(options.usage),
      background,
      clock: options.clock,
      log: options.log,
      maxObjectBytes: options.maxObjectBytes,
      bodyIdleMs: options.bodyIdleMs ?? 120_000,
      checkpoint: options.checkpoint ?? (() => {}),
    }
    this.#sweeper = new Sweeper({
      services: this.#services,
      everyMs: options.sweepEveryMs ?? 3_600_000,
      maxTenants: 20_000,
    })
    for (const [method, path, handler] of ROUTES) this.#router.add(method, path, handler)
  }

  /** Serves one request on behalf of a verified context. Never rejects: what goes wrong is answered. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    context: RequestContext,
    requestId: string,
  ): Promise<void> {
    const log = this.#services.log.child({ request_id: requestId, tenant_id: context.tenant_id })
    try {
      response.setHeader('X-Request-Id', requestId)
      const { handler, params, query } = this.#route(request)
      const session = this.openSession(context)
      const call: StorageCall = {
        request,
        response,
        context,
        session,
        services: this.#services,
        locks: this.#locks,
        params,
        query,
      }
      await handler(call)
      this.#sweeper.note(session)
    } catch (fault) {
      const problem = asStorageProblem(fault)
      if (response.headersSent || response.destroyed) log.debug({ err: fault }, 'a request was cut off')
      else if (problem.status >= 500 && problem.status !== 501 && problem.status !== 507)
        log.error({ err: problem.cause ?? problem, code: problem.code }, 'request failed')
      refuse(request, response, problem, requestId)
    }
  }

  /** The storage tables of a context's tenant, with the rights of its caller. @throws Problem 503 while it has no place. */
  openSession(context: RequestContext): StorageSession {
    const { placement } = context
    if (placement === null)
      throw new Problem(503, 'tenant_not_ready', {
        detail: 'The tenant has no database yet.',
        headers: { 'Retry-After': '2' },
      })
    return new StorageSession(this.#executor, placement.server, principalOf(context, placement), subjectOf(context))
  }

  /** What the sweeper and the tests work with. */
  get services(): StorageServices {
    return this.#services
  }

  /** Removes every file of a tenant, for good: a part of purging it. */
  async purgeTenant(tenantId: string): Promise<void> {
    await this.#services.blobs.removeTenant(tenantId)
  }

  /** Finishes what runs in the background, within a few seconds, and lets go of the blob store. */
  async close(): Promise<void> {
    this.#sweeper.stop()
    await this.#services.background.drain(DRAIN_MS)
    await this.#services.blobs.close()
  }

  #route(request: IncomingMessage): { handler: RouteHandler; params: Record<string, string>; query: URLSearchParams } {
    const url = request.url ?? ''
    const queryAt = url.indexOf('?')
    const path = queryAt < 0 ? url : url.slice(0, queryAt)
    if (!path.startsWith(`${STORAGE_PATH}/`)) throw storageProblems.noSuchRoute()
    // The address is matched as it was sent and decoded afterwards, so that an encoded slash parts nothing.
    const [match] = this.#router.match(request.method ?? 'GET', path.slice(STORAGE_PATH.length))[0]
    if (match === undefined) throw storageProblems.noSuchRoute()
    const params: Record<string, string> = {}
    for (const [name, value] of Object.entries(match[1])) params[name] = decode(value)
    return { handler: match[0], params, query: new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt + 1)) }
  }
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw storageProblems.invalidKey(value)
  }
}
