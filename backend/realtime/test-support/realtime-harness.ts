import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RealtimeClient } from '@supabase/realtime-js'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import type { UsageRecord, UsageWriter } from '../../../metering/contract.ts'
import { systemClock } from '../../../runtime/clock.ts'
import { makeId } from '../../../runtime/ids.ts'
import { asProblem } from '../../../runtime/problem.ts'
import { connectRedis, type RedisClient, whenRedisReady } from '../../../runtime/redis.ts'
import type { RedisServer } from '../../../runtime/redis-server.ts'
import { Sealer } from '../../../runtime/seal.ts'
import { DirectoryPublisher } from '../../../tenancy/directory-publisher.ts'
import { DirectoryReader } from '../../../tenancy/directory-reader.ts'
import { digestKey, makeKey } from '../../../tenancy/key.ts'
import { CONTEXT_HEADER, type RequestContext, RequestContextCodec } from '../../../tenancy/request-context.ts'
import { type Placement, parseTenantSnapshot, type TenantSnapshot } from '../../../tenancy/snapshot.ts'
import { tenantSchemaName } from '../../../tenancy/tenant.ts'
import type { Bus } from '../channels/bus.ts'
import type { ChangesPort } from '../channels/changes-port.ts'
import type { RealtimeLimits } from '../limits.ts'
import { Realtime } from '../realtime.ts'

export const SECRET = 'a-secret-of-at-least-thirty-two-characters'
export const sealer = new Sealer([SECRET])
export const silent = pino({ level: 'silent' })
const contexts = new RequestContextCodec(SECRET)
const JWT_SECRET = 'the-tenants-own-jwt-secret-of-32-characters'

/** A tenant of a test, with the keys that its clients hold. */
export type TestTenant = { id: string; name: string; anonKey: string; serviceKey: string; snapshot: TenantSnapshot }

let nextVersion = 1

export function makeTenant(
  name: string,
  overrides: Partial<TenantSnapshot> = {},
  id: string = makeId('ten'),
): TestTenant {
  const anonKey = makeKey('anon')
  const serviceKey = makeKey('service')
  const schema = tenantSchemaName(id)
  const snapshot: TenantSnapshot = {
    tenant_id: id,
    name,
    version: nextVersion++,
    status: 'active',
    plan: 'pro',
    isolation: 'schema',
    quotas: {
      storage_bytes: null,
      api_requests_per_month: null,
      file_storage_bytes: null,
      realtime_connections: null,
      requests_per_second: 1_000,
    },
    storage_exceeded: false,
    file_storage_exceeded: false,
    keys: [
      { id: `${name}-anon`, kind: 'anon', digest: digestKey(anonKey), expires_at: null },
      { id: `${name}-service`, kind: 'service', digest: digestKey(serviceKey), expires_at: null },
    ],
    jwt: { sealed_secret: sealer.seal(JWT_SECRET, `jwt:${id}`), jwks_url: null, issuer: null, audience: null },
    placement: { server: 'shared-0', schema, role: schema },
    backend: { kind: 'shared', name: 'shared', urls: [], pipelining: 1 },
    ...overrides,
  }
  return { id, name, anonKey, serviceKey, snapshot }
}

/** A JWT of one of the tenant's users, signed as the tenant's own auth server would. */
export function userToken(sub: string, options: { role?: string; expiresInS?: number; secret?: string } = {}) {
  return new SignJWT({ sub, role: options.role ?? 'authenticated' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1_000) + (options.expiresInS ?? 3_600))
    .sign(new TextEncoder().encode(options.secret ?? JWT_SECRET))
}

export async function publishTenant(redis: RedisClient, tenant: TestTenant, change: Partial<TenantSnapshot> = {}) {
  tenant.snapshot = { ...tenant.snapshot, ...change, version: nextVersion++ }
  const { name, version } = tenant.snapshot
  await new DirectoryPublisher(redis).publish('tenant', name, version, JSON.stringify(tenant.snapshot))
}

const NO_CHANGES = (): ChangesPort & { close(): Promise<void> } => ({
  subscribe: () => ({ ready: Promise.resolve(), close: () => {} }),
  schemaChanged: () => {},
  close: async () => {},
})

export type BackendOptions = {
  tenants: readonly TestTenant[]
  limits?: Partial<RealtimeLimits>
  beatMs?: number
  makeChanges?: (bus: Bus, redis: RedisClient) => ChangesPort & { close(): Promise<void> }
}

/**
 * One backend process's worth of realtime behind a small server that does for it what the gateway does: it knows the keys, and
 * adds the signed context. The tenant is the first label of the path's host: `http://127.0.0.1:<port>/<tenant>`.
 */
export class TestBackend {
  readonly realtime: Realtime
  readonly records: UsageRecord[] = []
  readonly #server: Server
  readonly #redis: RedisClient[]
  readonly #tenants: DirectoryReader<TenantSnapshot>
  readonly #known: readonly TestTenant[]

  private constructor(server: Server, redis: RedisClient[], options: BackendOptions) {
    this.#server = server
    this.#redis = redis
    this.#known = options.tenants
    const [commands, subscriber, announcements] = redis as [RedisClient, RedisClient, RedisClient]
    this.#tenants = new DirectoryReader<TenantSnapshot>({
      kind: 'tenant',
      redis: commands,
      subscriber: announcements,
      parse: parseTenantSnapshot,
      versionOf: (snapshot) => snapshot.version,
      maxEntries: 100,
      clock: systemClock,
      log: silent,
    })
    this.#tenants.start()
    const usage: UsageWriter = {
      append: (record, onWritten) => {
        this.records.push(record)
        onWritten()
      },
      close: async () => {},
    }
    const makeChanges = options.makeChanges ?? NO_CHANGES
    this.realtime = new Realtime({
      contexts,
      tenants: this.#tenants,
      sealer,
      jwks: { keysOf: () => Promise.reject(new Error('There is no JWKS here')) },
      redis: commands,
      subscriber,
      makeChanges: (bus) => makeChanges(bus, commands),
      usage,
      clock: systemClock,
      log: silent,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.beatMs === undefined ? {} : { beatMs: options.beatMs }),
    })
    server.on('upgrade', (request, socket, head) => {
      this.#admit(request)
      this.realtime.handleUpgrade(request, socket, head)
    })
    server.on('request', (request, response) => {
      const context = this.#admit(request)
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const url = new URL(request.url ?? '/', 'http://backend')
        const body = Buffer.concat(chunks)
        const contentType = request.headers['content-type'] ?? ''
        if (context === undefined) {
          response.writeHead(401).end()
          return
        }
        this.realtime.broadcast({ path: url.pathname, query: url.searchParams, contentType, body, context }).then(
          () => response.writeHead(202).end(),
          (fault: unknown) => {
            const problem = asProblem(fault)
            response.writeHead(problem.status).end(JSON.stringify({ message: problem.detail, code: problem.code }))
          },
        )
      })
    })
  }

  static async start(redisServer: RedisServer, options: BackendOptions): Promise<TestBackend> {
    const connect = (name: string, whenAway: 'fail-fast' | 'wait') =>
      connectRedis({ urls: [redisServer.url], connectionName: name, log: silent, whenAway })
    const redis = [connect('commands', 'fail-fast'), connect('subscriber', 'wait'), connect('announcements', 'wait')]
    await Promise.all(redis.map((client) => whenRedisReady(client, 5_000)))
    const [commands] = redis
    if (commands === undefined) throw new Error('unreachable')
    await new DirectoryPublisher(commands).markComplete()
    for (const tenant of options.tenants) await publishTenant(commands, tenant)
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TestBackend(server, redis, options)
  }

  get redis(): RedisClient {
    const [commands] = this.#redis
    if (commands === undefined) throw new Error('unreachable')
    return commands
  }

  /** The realtime URL that supabase-js would make for the tenant. */
  url(tenant: TestTenant): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${tenant.name}/realtime/v1`
  }

  /** An unmodified realtime-js client. */
  client(
    tenant: TestTenant,
    options: { key?: string; accessToken?: () => Promise<string | null>; vsn?: string } = {},
  ): RealtimeClient {
    const { key = tenant.anonKey, accessToken, vsn } = options
    return new RealtimeClient(this.url(tenant), {
      params: { apikey: key },
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(vsn === undefined ? {} : { vsn }),
    })
  }

  /** A plain WebSocket, for what realtime-js would never send. */
  socket(tenant: TestTenant, options: { key?: string; vsn?: string } = {}): WebSocket {
    const { key = tenant.anonKey, vsn = '1.0.0' } = options
    return new WebSocket(`${this.url(tenant)}/websocket?apikey=${key}&vsn=${vsn}`)
  }

  /** How this backend names itself to the others. */
  get instanceId(): string {
    return this.realtime.instanceId
  }

  /** What is left of a killed process: nothing is said to anybody. */
  async kill(): Promise<void> {
    for (const client of this.#redis) client.disconnect()
    this.#tenants.stop()
    await this.realtime.stop()
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async stop(): Promise<void> {
    await this.realtime.stop()
    this.#tenants.stop()
    this.#server.closeAllConnections()
    this.#server.close()
    for (const client of this.#redis) client.disconnect()
  }

  /** The gateway's part: takes the tenant off the path, verifies the key, signs who asks. */
  #admit(request: IncomingMessage): RequestContext | undefined {
    const url = new URL(request.url ?? '/', 'http://gateway')
    const [, name, ...rest] = url.pathname.split('/')
    request.url = `/${rest.join('/')}${url.search}`
    delete request.headers[CONTEXT_HEADER]
    const tenant = this.#known.find((candidate) => candidate.name === name)
    const key = request.headers.apikey ?? url.searchParams.get('apikey')
    const entry = tenant?.snapshot.keys.find((candidate) => candidate.digest === digestKey(String(key)))
    if (tenant === undefined || entry === undefined) return undefined
    const context: RequestContext = {
      tenant_id: tenant.id,
      name: tenant.name,
      isolation: tenant.snapshot.isolation,
      placement: tenant.snapshot.placement as Placement,
      role: entry.kind === 'service' ? 'service_role' : 'anon',
      key_id: entry.id,
      claims: null,
      quotas: { storage_bytes: null, file_storage_bytes: null },
      expires_at: Date.now() + 60_000,
    }
    request.headers[CONTEXT_HEADER] = contexts.sign(context)
    return context
  }
}
