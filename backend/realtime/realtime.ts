import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { LRUCache } from 'lru-cache'
import { WebSocketServer } from 'ws'
import type { UsageWriter } from '../../metering/contract.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/log.ts'
import { asProblem, PROBLEM_CONTENT_TYPE, Problem, toProblemDocument } from '../../runtime/problem.ts'
import type { RedisClient } from '../../runtime/redis.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { DirectoryReader } from '../../tenancy/directory-reader.ts'
import { CONTEXT_HEADER, type RequestContext, type RequestContextCodec } from '../../tenancy/request-context.ts'
import type { TenantSnapshot } from '../../tenancy/snapshot.ts'
import { identityOf } from './access/identity.ts'
import { type KeySource, TokenVerifier } from './access/token-verifier.ts'
import { Bus } from './channels/bus.ts'
import type { ChangesPort } from './channels/changes-port.ts'
import type { ChannelServices } from './channels/channel.ts'
import { CLOSE, Connection } from './channels/connection.ts'
import { MessageRate } from './channels/message-rate.ts'
import { Topics } from './channels/topics.ts'
import { DeliveryMeter } from './delivery-meter.ts'
import { broadcastByHttp, type HttpBroadcast } from './http-broadcast.ts'
import { DEFAULT_LIMITS, type RealtimeLimits } from './limits.ts'
import { VSNS } from './wire/message.ts'

export const WEBSOCKET_PATH = '/realtime/v1/websocket'

export type RealtimeOptions = {
  contexts: RequestContextCodec
  tenants: DirectoryReader<TenantSnapshot>
  sealer: Sealer
  jwks: KeySource
  /** For commands; fails fast. */
  redis: RedisClient
  /** A connection of realtime's own, for subscriptions; waits while Redis is away. */
  subscriber: RedisClient
  /** Makes the source of database changes, which speaks to other processes over the same bus. */
  makeChanges: (bus: Bus) => ChangesPort & { close(): Promise<void> }
  usage: UsageWriter
  limits?: Partial<RealtimeLimits>
  /** How often this process shows the others that it lives. */
  beatMs?: number
  clock: Clock
  log: Logger
}

const MAX_RATES = 20_000
/** A tenant's statuses in which its sockets may stay. */
const LIVING: ReadonlySet<string> = new Set(['active', 'migrating', 'paused', 'provisioning'])

/** The realtime service of one backend process: its sockets, and what they share. */
export class Realtime {
  readonly #options: RealtimeOptions
  readonly #limits: RealtimeLimits
  readonly #server: WebSocketServer
  readonly #bus: Bus
  readonly #topics: Topics
  readonly #changes: ChangesPort & { close(): Promise<void> }
  readonly #meter: DeliveryMeter
  readonly #services: ChannelServices
  readonly #connections = new Map<string, Set<Connection>>()
  readonly #rates = new LRUCache<string, MessageRate>({ max: MAX_RATES })
  #connectionCount = 0
  #timer: NodeJS.Timeout | undefined
  #stopping = false

  constructor(options: RealtimeOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    const { redis, subscriber, log, clock, tenants } = options
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Compression would cost memory for each socket and let a small frame grow to any size.
      perMessageDeflate: false,
      maxPayload: this.#limits.maxMessageBytes,
    })
    this.#bus = new Bus({ redis, subscriber, log })
    this.#topics = new Topics({
      bus: this.#bus,
      redis,
      joinTimeoutMs: this.#limits.joinRedisTimeoutMs,
      log,
      ...(options.beatMs === undefined ? {} : { beatMs: options.beatMs }),
    })
    this.#changes = options.makeChanges(this.#bus)
    this.#meter = new DeliveryMeter(options.usage, clock)
    this.#services = {
      topics: this.#topics,
      tokens: new TokenVerifier(options),
      changes: this.#changes,
      limits: this.#limits,
      clock,
      log,
    }
    tenants.onChange((name) => void this.#tenantChanged(name))
    this.#timer = setInterval(() => this.#checkLife(), this.#limits.pingIntervalMs).unref()
  }

  /** How this process names itself to the others. */
  get instanceId(): string {
    return this.#bus.instanceId
  }

  get connectionCount(): number {
    return this.#connectionCount
  }

  /** Takes over a request to upgrade, whatever comes of it: a WebSocket, or a problem document and the end of the socket. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    this.#accept(request, socket, head).catch((fault: unknown) => this.#refuseUpgrade(socket, fault))
  }

  /**
   * Hands on broadcasts that came by HTTP (`POST /realtime/v1/api/broadcast...`); answer 202 with an empty body.
   * @throws Problem
   */
  async broadcast(request: HttpBroadcast): Promise<void> {
    broadcastByHttp(request, this.#topics, await this.#rateOf(request.context))
  }

  /** Tables of a tenant's schema were made, changed or dropped: to be told by who listens to the server. */
  schemaChanged(server: string, schema: string): void {
    this.#changes.schemaChanged(server, schema)
  }

  /** Closes every socket so that clients come again elsewhere, and writes what is left to be metered. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#timer)
    for (const connections of this.#connections.values())
      for (const connection of [...connections]) connection.close(CLOSE.restart, 'service_restart')
    await this.#changes.close()
    await this.#topics.close()
    await this.#meter.flush()
    this.#bus.close()
    this.#server.close()
  }

  async #accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://backend')
    if (url.pathname !== WEBSOCKET_PATH)
      throw new Problem(404, 'not_found', { detail: 'There is nothing at this address.' })
    const header = request.headers[CONTEXT_HEADER]
    const context =
      typeof header === 'string' ? this.#options.contexts.verify(header, this.#options.clock.nowMs()) : undefined
    if (context === undefined)
      throw new Problem(401, 'invalid_context', { detail: 'Requests come through the gateway.' })
    const asked = url.searchParams.get('vsn') ?? '1.0.0'
    const vsn = VSNS.find((known) => known === asked)
    if (vsn === undefined) throw new Problem(400, 'unsupported_version', { detail: '`vsn` is 1.0.0 or 2.0.0.' })
    if (this.#stopping || this.#connectionCount >= this.#limits.maxConnections)
      throw new Problem(503, 'realtime_full', {
        detail: 'No more connections can be taken here. Try again in a moment.',
        headers: { 'Retry-After': '2' },
      })
    const rate = await this.#rateOf(context)
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const { tenant_id: tenantId, name, placement } = context
      const connection = new Connection({
        ws,
        tenant: { tenantId, name, placement, context },
        vsn,
        identity: identityOf(context),
        rate,
        meter: this.#meter,
        services: this.#services,
      })
      this.#add(connection)
      ws.once('close', () => this.#remove(connection))
    })
  }

  #refuseUpgrade(socket: Duplex, fault: unknown): void {
    const problem = asProblem(fault)
    if (problem.status >= 500) this.#options.log.error({ err: problem.cause ?? problem }, 'an upgrade failed')
    const body = JSON.stringify(toProblemDocument(problem, 'upgrade'))
    const headers = { ...problem.headers, 'Content-Type': PROBLEM_CONTENT_TYPE, Connection: 'close' }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    socket.end(
      [`HTTP/1.1 ${problem.status} Refused`, ...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join(
        '\r\n',
      ),
    )
  }

  async #rateOf({ tenant_id: tenantId, name }: Pick<RequestContext, 'tenant_id' | 'name'>): Promise<MessageRate> {
    const known = this.#rates.get(tenantId)
    if (known !== undefined) return known
    // Without the directory a tenant gets what one with the smallest plan gets by default; never nothing.
    const snapshot = await this.#options.tenants.load(name).catch(() => null)
    const rate = this.#rates.get(tenantId) ?? new MessageRate(this.#messagesPerSecond(snapshot), this.#options.clock)
    this.#rates.set(tenantId, rate)
    return rate
  }

  #messagesPerSecond(snapshot: TenantSnapshot | null): number {
    const { messagesPerRequestRate, unlimitedMessagesPerSecond } = this.#limits
    if (snapshot === null) return 20 * messagesPerRequestRate
    const { requests_per_second: requestsPerSecond } = snapshot.quotas
    return requestsPerSecond === null ? unlimitedMessagesPerSecond : requestsPerSecond * messagesPerRequestRate
  }

  #add(connection: Connection): void {
    this.#connectionCount += 1
    const { name } = connection.tenant
    const connections = this.#connections.get(name)
    if (connections === undefined) this.#connections.set(name, new Set([connection]))
    else connections.add(connection)
  }

  #remove(connection: Connection): void {
    this.#connectionCount -= 1
    const { name } = connection.tenant
    const connections = this.#connections.get(name)
    connections?.delete(connection)
    if (connections?.size === 0) this.#connections.delete(name)
  }

  #checkLife(): void {
    for (const connections of this.#connections.values())
      for (const connection of [...connections]) connection.checkLife()
  }

  /** What a tenant's sockets were let in for may have ended: suspended, deleted, moved, or the key revoked. */
  async #tenantChanged(name: string): Promise<void> {
    const connections = this.#connections.get(name)
    if (connections === undefined) return
    // When the directory cannot tell, what was true stays true: the next change or the change log brings us here again.
    const snapshot = await this.#options.tenants.load(name).catch(() => undefined)
    if (snapshot === undefined) return
    for (const connection of [...connections]) {
      const { tenantId, placement } = connection.tenant
      const { keyId } = connection.identity
      if (snapshot === null || snapshot.tenant_id !== tenantId || !LIVING.has(snapshot.status))
        connection.close(CLOSE.policy, snapshot?.status === 'suspended' ? 'tenant_suspended' : 'tenant_gone')
      else if (keyId !== null && !snapshot.keys.some((key) => key.id === keyId))
        connection.close(CLOSE.policy, 'key_revoked')
      // The tenant was moved: clients come again and are served from where it is now.
      else if (snapshot.placement?.server !== placement?.server) connection.close(CLOSE.restart, 'tenant_moved')
    }
    if (snapshot !== null) {
      const rate = this.#rates.get(snapshot.tenant_id)
      if (rate !== undefined) rate.perSecond = this.#messagesPerSecond(snapshot)
    }
  }
}
