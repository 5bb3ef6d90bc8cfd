import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../runtime/log.ts'
import type { RedisClient } from '../../../runtime/redis.ts'
import type { Sealer } from '../../../runtime/seal.ts'
import type { DirectoryReader } from '../../../tenancy/directory-reader.ts'
import type { ServerRecord } from '../../../tenancy/server-record.ts'
import type { ConnectionTarget } from '../../postgres/connection.ts'
import type { Servers } from '../../postgres/servers.ts'
import type { Bus } from '../channels/bus.ts'
import {
  BindingError,
  type ChangeSubscriber,
  type ChangeSubscription,
  type ChangesPort,
  SUBSCRIBED,
} from '../channels/changes-port.ts'
import type { RequestedBinding } from '../channels/join-config.ts'
import { type Binding, prepareBinding } from './bindings.ts'
import type { ChangeBatch } from './row-change.ts'
import { principalOfSubscriber, SchemaSubscriptions, type Subscription } from './schema-subscriptions.ts'
import { changesChannel, decodeBatch, feedChannel, ServerFeed } from './server-feed.ts'
import { loadTableFacts, publishTable } from './table-facts.ts'

export type ChangesOptions = {
  bus: Bus
  redis: RedisClient
  servers: Servers
  /** The server records, for the login that reads the stream. */
  directory: DirectoryReader<ServerRecord>
  sealer: Sealer
  pollMs?: number
  log: Logger
}

type OpenServer = { feed: ServerFeed; schemas: Map<string, SchemaSubscriptions>; idle: NodeJS.Timeout | undefined }

/** A server's stream is kept for this long after its last subscriber has left. */
const IDLE_MS = 30_000
const FIRST_RETRY_MS = 250
const MAX_RETRY_MS = 10_000
const INTERRUPTED = 'The stream of changes was interrupted: some may have been missed'
const CANNOT_READ = 'Changes cannot be read at the moment; trying again'

/** Where this process's channels get database changes from: one stream per server that has subscribers here. */
export class Changes implements ChangesPort {
  readonly #options: ChangesOptions
  readonly #servers = new Map<string, OpenServer>()
  #closed = false

  constructor(options: ChangesOptions) {
    this.#options = options
    // What other processes told meanwhile is lost; who leads has missed nothing, but cannot know that of the others.
    options.bus.onGap(() => {
      for (const { schemas } of this.#servers.values()) for (const each of schemas.values()) tellInterrupted(each)
    })
  }

  subscribe(
    subscriber: ChangeSubscriber,
    bindings: readonly (RequestedBinding & { id: number })[],
  ): ChangeSubscription {
    const { placement } = subscriber.tenant
    if (placement === null || this.#closed) {
      const ready = Promise.reject(new BindingError('The database of this tenant is not ready'))
      ready.catch(() => {})
      return { ready, close: () => {} }
    }
    const { server, schema } = placement
    let entered: { subscriptions: SchemaSubscriptions; subscription: Subscription } | undefined
    const closed = new AbortController()
    const ready = (async () => {
      const prepared = await this.#prepareWithPatience(subscriber, bindings, closed.signal)
      if (prepared === undefined) return
      const open = this.#open(server)
      const { subscriptions, listening } = this.#enter(open, server, schema)
      const subscription = { subscriber, bindings: prepared }
      subscriptions.add(subscription)
      entered = { subscriptions, subscription }
      await Promise.all([listening, open.feed.whenFlowing()])
    })()
    return {
      ready,
      close: () => {
        closed.abort()
        if (entered === undefined) return
        entered.subscriptions.delete(entered.subscription)
        if (entered.subscriptions.size === 0) this.#leave(server, schema, entered.subscriptions)
        entered = undefined
      },
    }
  }

  /** A tenant's tables have changed: those that somebody listens to are published, also when they are new or made again. */
  schemaChanged(server: string, schema: string): void {
    this.#servers.get(server)?.schemas.get(schema)?.tablesChanged()
  }

  async close(): Promise<void> {
    this.#closed = true
    const open = [...this.#servers.values()]
    this.#servers.clear()
    for (const { idle } of open) clearTimeout(idle)
    await Promise.all(open.map(({ feed }) => feed.stop()))
  }

  /** A database that is busy or away is asked again; what can never be is refused. @returns nothing once closed. */
  async #prepareWithPatience(
    subscriber: ChangeSubscriber,
    bindings: readonly (RequestedBinding & { id: number })[],
    closed: AbortSignal,
  ): Promise<readonly Binding[] | undefined> {
    for (let attempt = 0; !closed.aborted && !this.#closed; attempt++) {
      try {
        const prepared = await this.#prepare(subscriber, bindings)
        return closed.aborted ? undefined : prepared
      } catch (fault) {
        if (fault instanceof BindingError) throw fault
        if (attempt === 0) this.#options.log.warn({ err: fault }, 'a subscription to changes has to wait')
        subscriber.onStatus('error', CANNOT_READ)
      }
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** attempt, MAX_RETRY_MS)
      await sleep(waitMs, undefined, { signal: closed, ref: false }).catch(() => {})
    }
    return undefined
  }

  /** Checks the bindings and has every table that they name published. */
  async #prepare(
    subscriber: ChangeSubscriber,
    bindings: readonly (RequestedBinding & { id: number })[],
  ): Promise<readonly Binding[]> {
    const principal = principalOfSubscriber(subscriber)
    const server = await this.#options.servers.find(subscriber.tenant.placement?.server ?? '')
    const named = bindings.map((binding) => binding.table ?? '*')
    const wantsAll = named.includes('*')
    const facts = wantsAll
      ? await loadTableFacts(server, principal, null)
      : (await Promise.all([...new Set(named)].map((table) => loadTableFacts(server, principal, table)))).flat()
    const prepared = await Promise.all(bindings.map((binding) => prepareBinding(binding, facts, server, principal)))
    for (const each of facts) await publishTable(server, principal, each)
    return prepared
  }

  #open(server: string): OpenServer {
    const known = this.#servers.get(server)
    if (known !== undefined) {
      clearTimeout(known.idle)
      return known
    }
    const { bus, redis, log, pollMs } = this.#options
    const schemas = new Map<string, SchemaSubscriptions>()
    const tellAll = (status: 'ok' | 'error', message: string) => {
      for (const each of schemas.values()) each.tell(status, message)
    }
    const onGap = () => {
      for (const each of schemas.values()) {
        each.forgetPosition()
        tellInterrupted(each)
      }
    }
    let hasFlowed = false
    const feed = new ServerFeed({
      server,
      findTarget: () => this.#findTarget(server),
      bus,
      redis,
      onBatch: (batch) => schemas.get(batch.schema)?.take(batch),
      onGap,
      onFlow: (isFlowing) => {
        if (isFlowing && hasFlowed) tellAll('ok', SUBSCRIBED)
        else if (!isFlowing)
          tellAll('error', 'The stream of changes is interrupted; it goes on when the database is back')
        hasFlowed ||= isFlowing
      },
      onFault: () => tellAll('error', CANNOT_READ),
      ...(pollMs === undefined ? {} : { pollMs }),
      log,
    })
    bus
      .subscribe(feedChannel(server), ({ header }) => {
        if (header.type === 'gap') onGap()
      })
      .catch(() => {})
    feed.start()
    const open: OpenServer = { feed, schemas, idle: undefined }
    this.#servers.set(server, open)
    return open
  }

  #enter(
    open: OpenServer,
    server: string,
    schema: string,
  ): { subscriptions: SchemaSubscriptions; listening: Promise<void> } {
    const { bus, servers, log } = this.#options
    const channel = changesChannel(server, schema)
    const known = open.schemas.get(schema)
    if (known !== undefined) return { subscriptions: known, listening: bus.confirm(channel) }
    const subscriptions = new SchemaSubscriptions({ schema, findServer: () => servers.find(server), log })
    open.schemas.set(schema, subscriptions)
    const listening = bus.subscribe(channel, ({ bytes }) => {
      const batch: ChangeBatch = decodeBatch(bytes)
      if (batch.schema === schema) subscriptions.take(batch)
    })
    return { subscriptions, listening }
  }

  #leave(server: string, schema: string, subscriptions: SchemaSubscriptions): void {
    const open = this.#servers.get(server)
    if (open === undefined || open.schemas.get(schema) !== subscriptions) return
    open.schemas.delete(schema)
    this.#options.bus.unsubscribe(changesChannel(server, schema))
    if (open.schemas.size > 0) return
    open.idle = setTimeout(() => {
      if (this.#servers.get(server) !== open || open.schemas.size > 0) return
      this.#servers.delete(server)
      this.#options.bus.unsubscribe(feedChannel(server))
      open.feed.stop().catch(() => {})
    }, IDLE_MS)
    open.idle.unref()
  }

  async #findTarget(server: string): Promise<ConnectionTarget> {
    const record = await this.#options.directory.load(server)
    const login = record?.replication_login
    if (record === null || login === undefined) throw new Error(`The directory has no replication login for ${server}`)
    return {
      host: record.host,
      port: record.port,
      database: record.database,
      user: login.user,
      password: this.#options.sealer.open(login.sealed_password, `server:${server}`),
    }
  }
}

/** Some may be missing; from now on they come again. */
function tellInterrupted(subscriptions: SchemaSubscriptions): void {
  subscriptions.tell('error', INTERRUPTED)
  subscriptions.tell('ok', SUBSCRIBED)
}
