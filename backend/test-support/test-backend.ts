import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Lifecycle } from '../../runtime/lifecycle.ts'
import { makeLogger } from '../../runtime/log.ts'
import { connectRedis } from '../../runtime/redis.ts'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { DirectoryPublisher } from '../../tenancy/directory-publisher.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import {
  CONTEXT_HEADER,
  type RequestContext,
  RequestContextCodec,
  type TenantRole,
} from '../../tenancy/request-context.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import { startRedis } from '../../test/support/redis.ts'
import { startBackend } from '../backend.ts'
import { readBackendConfig } from '../config.ts'
import { ENCRYPTION_KEY, type TestTenant } from './tenant-database.ts'

const INTERNAL_SECRET = 'test-internal-secret-of-32-characters'
const codec = new RequestContextCodec(INTERNAL_SECRET)

export type CallOptions = {
  role?: TenantRole
  claims?: Record<string, unknown>
  quotaBytes?: number | null
  isolation?: Isolation
  method?: string
  headers?: Record<string, string>
  body?: unknown
}

export type Answer = { status: number; headers: Headers; text: string; json: unknown }

/** The backend on a port of its own, wired as in production, with a Redis of its own that knows the given servers. */
export class TestBackend {
  readonly url: string
  readonly #stop: () => Promise<void>

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url
    this.#stop = stop
  }

  static async start(
    servers: readonly ServerRecord[],
    env: Record<string, string> = {},
    sharedRedis?: RedisServer,
  ): Promise<TestBackend> {
    const log = makeLogger('backend-test', process.env.AERODB_TEST_LOG ?? 'silent')
    const redis = sharedRedis ?? (await startRedis())
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-backend-'))
    const client = connectRedis({ urls: [redis.url], connectionName: 'test', log, whenAway: 'wait' })
    const publisher = new DirectoryPublisher(client)
    for (const record of servers)
      await publisher.publish('server', record.server, record.version, JSON.stringify(record))
    await publisher.markComplete()
    client.disconnect()
    const lifecycle = new Lifecycle(log)
    const { url } = await startBackend({
      config: readBackendConfig({
        AERODB_LOG_LEVEL: 'silent',
        AERODB_INTERNAL_SECRET: INTERNAL_SECRET,
        AERODB_ENCRYPTION_KEYS: ENCRYPTION_KEY,
        AERODB_REDIS_URL: redis.url,
        AERODB_DATA_DIR: directory,
        AERODB_BACKEND_PORT: '0',
        ...env,
      }),
      log,
      lifecycle,
    })
    return new TestBackend(url, async () => {
      await lifecycle.stop()
      if (sharedRedis === undefined) await redis.stop()
      await rm(directory, { recursive: true, force: true })
    })
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  /** Calls `path` as the gateway would on behalf of `tenant`. */
  async call(tenant: TestTenant, path: string, options: CallOptions = {}): Promise<Answer> {
    const hasBody = options.body !== undefined
    const response = await fetch(`${this.url}${path}`, {
      method: options.method ?? (hasBody ? 'POST' : 'GET'),
      headers: {
        [CONTEXT_HEADER]: signContext(tenant, options),
        ...(hasBody ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(hasBody ? { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) } : {}),
    })
    const text = await response.text()
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '') && text !== ''
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
  }
}

/** The header that the gateway puts on a request of `tenant`. */
export function signContext(
  tenant: TestTenant,
  options: Pick<CallOptions, 'role' | 'claims' | 'quotaBytes' | 'isolation'> & { server?: string } = {},
): string {
  const context: RequestContext = {
    tenant_id: tenant.tenantId,
    name: tenant.name,
    isolation: options.isolation ?? 'schema',
    placement: { server: options.server ?? 'shared-0', schema: tenant.schema, role: tenant.schema },
    role: options.role ?? 'service_role',
    key_id: null,
    claims: options.claims ?? null,
    quotas: { storage_bytes: options.quotaBytes ?? null, file_storage_bytes: null },
    expires_at: Date.now() + 60_000,
  }
  return codec.sign(context)
}
