import type { Logger } from '../../runtime/log.ts'
import { Problem } from '../../runtime/problem.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { DirectoryReader } from '../../tenancy/directory-reader.ts'
import type { ServerRecord } from '../../tenancy/server-record.ts'
import { isTenantId, tenantSchemaName } from '../../tenancy/tenant.ts'
import type { ConnectionTarget } from './connection.ts'
import { askSeal, readSeal } from './moved-tenant.ts'
import { ReplicaReads } from './replica-reads.ts'
import { ServerPool, type ServerPoolOptions } from './server-pool.ts'
import { ServerSession } from './server-session.ts'

/** One database server as this process uses it. */
export type Server = {
  name: string
  version: number
  /** Serves requests on rows. */
  requests: ServerPool
  /** Serves reads that may be a little old, where the server has standbys. */
  replicas: ReplicaReads
  /** Changes schemas. */
  ddl: ServerPool
  session: ServerSession
  /** For connections that are not pooled, because a tenant's own SQL runs on them. */
  ddlTarget: ConnectionTarget
}

export type PoolLimits = Omit<
  ServerPoolOptions,
  'server' | 'target' | 'applicationName' | 'maxConnections' | 'statementTimeoutMs' | 'log'
>

export type ServersOptions = {
  directory: DirectoryReader<ServerRecord>
  sealer: Sealer
  limits: PoolLimits
  /** Upper bound on connections for requests to one server, below what the server's record allows. */
  maxConnectionsPerServer: number
  statementTimeoutMs: number
  ddlStatementTimeoutMs: number
  /** A server nobody asked for this long is let go, so that an idle tenant's own server can be paused. */
  idleServerMs: number
  onSchemaChange: (server: string, schema: string) => void
  onGap: (server: string) => void
  /** The server on which the directory has the tenant now, where it can tell. */
  findPlacement?: (tenantId: string) => Promise<string | undefined>
  log: Logger
}

const NOWHERE = Promise.resolve(undefined)

/** Connections for the schema API: it is used rarely, and its statements take locks. */
const DDL_CONNECTIONS = 2

/** The database servers that this process knows from the directory, each with its bounded pools, opened when first asked for. */
export class Servers {
  readonly #options: ServersOptions
  readonly #open = new Map<string, Server>()
  readonly #timer: NodeJS.Timeout

  constructor(options: ServersOptions) {
    this.#options = options
    options.directory.onChange((name) => this.#letGo(name))
    this.#timer = setInterval(() => this.#letIdleGo(), Math.min(options.idleServerMs, 30_000)).unref()
  }

  /** The server if it is open already: the way of nearly every request, without waiting. */
  peek(name: string): Server | undefined {
    return this.#open.get(name)
  }

  /** @throws Problem 503 `database_unavailable` when the directory does not know the server or cannot tell. */
  async find(name: string): Promise<Server> {
    const open = this.#open.get(name)
    if (open !== undefined) return open
    let record: ServerRecord | null
    try {
      record = await this.#options.directory.load(name)
    } catch (cause) {
      throw unavailable(cause)
    }
    if (record === null) throw unavailable(new Error(`The directory knows no server ${name}`))
    try {
      return this.#open.get(name) ?? this.#openServer(record)
    } catch (cause) {
      // A password sealed under a key that we do not have.
      throw unavailable(cause)
    }
  }

  /** Like `find`, for what may have begun long ago: a tenant's own server is gone once the tenant has been moved away from it. */
  async findFor(tenantId: string, name: string): Promise<Server> {
    try {
      return await this.find(name)
    } catch (fault) {
      const now = await this.#options.findPlacement?.(tenantId)
      if (now === undefined || now === name) throw fault
      return this.find(now)
    }
  }

  /** Where a tenant that `name` refuses is served now: what that server says itself, else the directory. */
  async follow(tenantId: string, name: string): Promise<Server | undefined> {
    const server = await this.find(name)
    const schema = tenantSchemaName(tenantId)
    const outcome = await server.requests.run('', [askSeal(schema)])
    const now = readSeal(outcome.rows[0]?.[0]) ?? (await this.#options.findPlacement?.(tenantId))
    return now === undefined || now === name ? undefined : this.find(now)
  }

  /** Servers in use now. */
  get all(): readonly Server[] {
    return [...this.#open.values()]
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    const servers = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(servers.map(closeServer))
  }

  #openServer(record: ServerRecord): Server {
    const { sealer, limits, log, onSchemaChange, onGap } = this.#options
    const { server: name, host, port, database } = record
    const target = (login: ServerRecord['request_login']): ConnectionTarget => ({
      host,
      port,
      database,
      user: login.user,
      password: sealer.open(login.sealed_password, `server:${name}`),
    })
    const pool = (
      way: 'requests' | 'ddl',
      login: ServerRecord['request_login'],
      overrides: Partial<ServerPoolOptions>,
    ) =>
      new ServerPool({
        ...limits,
        server: name,
        target: target(login),
        applicationName: 'aerodb-backend',
        maxConnections: Math.min(this.#options.maxConnectionsPerServer, record.max_connections),
        statementTimeoutMs: this.#options.statementTimeoutMs,
        follow: (tag) => (isTenantId(tag) ? this.follow(tag, name).then((next) => next?.[way]) : NOWHERE),
        log,
        ...overrides,
      })
    const requests = pool('requests', record.request_login, {})
    const server: Server = {
      name,
      version: record.version,
      requests,
      replicas: new ReplicaReads(
        requests,
        record.replicas.map((address) =>
          pool('requests', record.request_login, { target: { ...target(record.request_login), ...address } }),
        ),
      ),
      ddl: pool('ddl', record.ddl_login, {
        applicationName: 'aerodb-backend-ddl',
        maxConnections: DDL_CONNECTIONS,
        maxInFlightPerConnection: 1,
        maxInFlightPerTag: 1,
        statementTimeoutMs: this.#options.ddlStatementTimeoutMs,
      }),
      session: new ServerSession({
        target: target(record.request_login),
        onSchemaChange: (schema) => onSchemaChange(name, schema),
        onGap: () => onGap(name),
        log,
      }),
      ddlTarget: target(record.ddl_login),
    }
    server.session.start()
    this.#open.set(name, server)
    return server
  }

  /** The record changed (moved, new passwords): running transactions end on the old connections, new ones get new pools. */
  #letGo(name: string): void {
    const server = this.#open.get(name)
    if (server === undefined) return
    this.#open.delete(name)
    this.#options.onGap(name)
    void closeServer(server)
  }

  #letIdleGo(): void {
    const nowMs = performance.now()
    for (const server of this.#open.values()) {
      const lastUsedMs = Math.max(server.requests.lastUsedMs, server.ddl.lastUsedMs)
      if (
        nowMs - lastUsedMs > this.#options.idleServerMs &&
        server.requests.isIdle &&
        server.ddl.isIdle &&
        server.replicas.isIdle
      )
        this.#letGo(server.name)
    }
  }
}

async function closeServer(server: Server): Promise<void> {
  await Promise.all([server.session.stop(), server.requests.close(), server.replicas.close(), server.ddl.close()])
}

function unavailable(cause: unknown): Problem {
  return new Problem(503, 'database_unavailable', {
    detail: 'The database of this tenant cannot be reached at the moment.',
    headers: { 'Retry-After': '2' },
    cause,
  })
}
