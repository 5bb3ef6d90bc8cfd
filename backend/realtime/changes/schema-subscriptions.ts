import { LRUCache } from 'lru-cache'
import type { Logger } from '../../../runtime/log.ts'
import { type Principal, principalOf } from '../../postgres/principal.ts'
import type { Server } from '../../postgres/servers.ts'
import { rightsKey } from '../access/identity.ts'
import type { ChangeSubscriber } from '../channels/changes-port.ts'
import { OutboundMessage } from '../wire/outbound.ts'
import { type Binding, CLIENT_SCHEMA, matchesBinding } from './bindings.ts'
import { columnsJson, recordJson } from './record-json.ts'
import { isOfTenant, readableChanges } from './row-access.ts'
import { type BatchPosition, type ChangeBatch, isAfter, type RowChange } from './row-change.ts'
import { loadTableFacts, publishTable, type TableFacts } from './table-facts.ts'

/** What is known of a table is believed for this long: a policy that was changed is in force after it. */
const FACTS_TTL_MS = 1_000
/** A migration is many commands: they are looked at together. */
const PUBLISH_DELAY_MS = 100
/** Changes that may wait for their readers' rights to be looked up. */
const MAX_WAITING = 20_000
/** A change whose JSON is longer is told with its short values only. */
const MAX_CHANGE_LENGTH = 1_048_576
const SHORT_VALUE = 64

export type SchemaSubscriptionsOptions = {
  schema: string
  findServer: () => Promise<Server>
  log: Logger
}

/** A subscriber and what it asked for. */
export type Subscription = { subscriber: ChangeSubscriber; bindings: readonly Binding[] }

/** The local subscribers to one tenant's changes: matches, asks who may read, and delivers in commit order. */
export class SchemaSubscriptions {
  readonly #options: SchemaSubscriptionsOptions
  readonly #subscriptions = new Set<Subscription>()
  readonly #facts = new LRUCache<string, { facts: Promise<TableFacts | undefined>; untilMs: number }>({ max: 1_000 })
  #seen: BatchPosition | undefined
  #delivering: Promise<void> = Promise.resolve()
  #waiting = 0
  #publishing: NodeJS.Timeout | undefined

  constructor(options: SchemaSubscriptionsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#subscriptions.size
  }

  add(subscription: Subscription): void {
    this.#subscriptions.add(subscription)
  }

  delete(subscription: Subscription): void {
    this.#subscriptions.delete(subscription)
  }

  /** Takes what the stream told, from whichever process reads it; what was seen before is passed over. */
  take(batch: ChangeBatch): void {
    if (!isAfter(batch.position, this.#seen)) return
    this.#seen = batch.position
    if (this.#waiting + batch.changes.length > MAX_WAITING) {
      this.tell('error', 'Too many changes at once: some were not delivered')
      return
    }
    this.#waiting += batch.changes.length
    this.#delivering = this.#delivering
      .then(() => this.#deliver(batch))
      .catch((fault: unknown) => {
        this.#options.log.error({ err: fault, schema: this.#options.schema }, 'changes could not be delivered')
        this.tell('error', 'The rights to changes could not be checked: some were not delivered')
      })
      .finally(() => {
        this.#waiting -= batch.changes.length
      })
  }

  /** What was known of the tables is old; those that are listened to and not published are published. */
  tablesChanged(): void {
    this.#facts.clear()
    this.#publishing ??= setTimeout(() => {
      this.#publishing = undefined
      this.#publishMissing().catch((fault: unknown) =>
        this.#options.log.warn({ err: fault, schema: this.#options.schema }, 'a table could not be published'),
      )
    }, PUBLISH_DELAY_MS).unref()
  }

  /** Forgets how far the stream was: it began anew, perhaps on another server. */
  forgetPosition(): void {
    this.#seen = undefined
  }

  /** Tells every subscriber how its stream is. */
  tell(status: 'ok' | 'error', message: string): void {
    for (const { subscriber } of [...this.#subscriptions]) subscriber.onStatus(status, message)
  }

  async #deliver(batch: ChangeBatch): Promise<void> {
    const wanted = this.#match(batch)
    if (wanted.size === 0) return
    const server = await this.#options.findServer()
    const readable = await this.#judge(server, wanted)
    const committedAt = new Date(batch.committedAtMs).toISOString()
    // In commit order for everybody; what many see alike is made once.
    for (const change of batch.changes) {
      const made = new Map<ReadonlySet<string> | undefined, string>()
      const messages = new Map<string, OutboundMessage>()
      for (const { subscription, rights, ids } of wanted.get(change) ?? []) {
        const { subscriber } = subscription
        if (readable.get(rights)?.has(change) !== true) continue
        for (const [select, idsOfSelect] of ids) {
          let json = made.get(select)
          if (json === undefined) {
            const facts = await this.#factsOf(server, principalOfSubscriber(subscriber), change.table.name)
            json = changeJson(change, committedAt, facts?.primaryKey ?? [], select)
            made.set(select, json)
          }
          const key = `${idsOfSelect.join()} ${subscriber.clientTopic}`
          let message = select === undefined ? messages.get(key) : undefined
          if (message === undefined) {
            message = changeMessage(subscriber.clientTopic, idsOfSelect, json)
            if (select === undefined) messages.set(key, message)
          }
          subscriber.onChange(message)
        }
      }
    }
  }

  async #publishMissing(): Promise<void> {
    const [first] = this.#subscriptions
    if (first === undefined) return
    const names = new Set([...this.#subscriptions].flatMap(({ bindings }) => bindings.map(({ table }) => table)))
    const principal = principalOfSubscriber(first.subscriber)
    const server = await this.#options.findServer()
    for (const facts of await loadTableFacts(server, principal, null))
      if (names.has(undefined) || names.has(facts.name)) await publishTable(server, principal, facts)
  }

  /** Who asked for which of the changes, and is of the tenant that they belong to. */
  #match(batch: ChangeBatch): Map<RowChange, Wanted[]> {
    const wanted = new Map<RowChange, Wanted[]>()
    for (const change of batch.changes) {
      const found: Wanted[] = []
      for (const subscription of this.#subscriptions) {
        const { tenant } = subscription.subscriber
        if (tenant.placement?.schema !== change.table.schema || !isOfTenant(change, tenant.tenantId)) continue
        const ids: Ids = new Map()
        for (const binding of subscription.bindings) {
          if (!matchesBinding(binding, change)) continue
          const known = ids.get(binding.select)
          if (known === undefined) ids.set(binding.select, [binding.id])
          else known.push(binding.id)
        }
        if (ids.size > 0) found.push({ subscription, rights: rightsKey(subscription.subscriber.identity), ids })
      }
      if (found.length > 0) wanted.set(change, found)
    }
    return wanted
  }

  /** By rights, the changes that who has them may read: one query for each table and rights that need one, all at once. */
  async #judge(server: Server, wanted: Map<RowChange, Wanted[]>): Promise<Map<string, Set<RowChange>>> {
    const asked = new Map<string, { principal: Principal; byTable: Map<string, RowChange[]> }>()
    for (const [change, subscriptions] of wanted) {
      const seen = new Set<string>()
      for (const { subscription, rights: key } of subscriptions) {
        if (seen.has(key)) continue
        seen.add(key)
        let group = asked.get(key)
        if (group === undefined) {
          group = { principal: principalOfSubscriber(subscription.subscriber), byTable: new Map() }
          asked.set(key, group)
        }
        const changes = group.byTable.get(change.table.name)
        if (changes === undefined) group.byTable.set(change.table.name, [change])
        else changes.push(change)
      }
    }
    const readable = new Map<string, Set<RowChange>>()
    await Promise.all(
      [...asked].flatMap(([key, { principal, byTable }]) => {
        const all = new Set<RowChange>()
        readable.set(key, all)
        return [...byTable].map(async ([table, changes]) => {
          const facts = await this.#factsOf(server, principal, table)
          if (facts === undefined) return
          for (const change of await readableChanges(server, principal, facts, changes)) all.add(change)
        })
      }),
    )
    return readable
  }

  /** A table's facts are those of the tenant's role, the same for all its principals. */
  #factsOf(server: Server, principal: Principal, table: string): Promise<TableFacts | undefined> {
    const nowMs = performance.now()
    const known = this.#facts.get(table)
    if (known !== undefined && known.untilMs > nowMs) return known.facts
    const facts = loadTableFacts(server, principal, table).then(([found]) => found)
    facts.catch(() => this.#facts.delete(table))
    this.#facts.set(table, { facts, untilMs: nowMs + FACTS_TTL_MS })
    return facts
  }
}

/** Binding ids by the columns that they want. */
type Ids = Map<ReadonlySet<string> | undefined, number[]>

/** A subscription that a change matched, with the rights that it is judged by. */
type Wanted = { subscription: Subscription; rights: string; ids: Ids }

/** The subscriber as it is now, in the terms of the database: the tenant is the socket's, the rights are the channel's. */
export function principalOfSubscriber({ tenant, identity }: ChangeSubscriber): Principal {
  const { placement, context } = tenant
  if (placement === null) throw new Error('A subscriber to changes has a place')
  const claims = identity.claims === null ? null : { ...identity.claims }
  return principalOf({ ...context, role: identity.role, claims }, placement)
}

function changeMessage(topic: string, ids: readonly number[], dataJson: string): OutboundMessage {
  const address = { joinRef: null, ref: null, topic, event: 'postgres_changes' }
  return OutboundMessage.json(address, `{"ids":[${ids.join(',')}],"data":${dataJson}}`)
}

/** The `data` of a `postgres_changes` message. Of the row before, only the key is told, as Supabase does by default. */
function changeJson(
  change: RowChange,
  committedAt: string,
  primaryKey: readonly string[],
  select: ReadonlySet<string> | undefined,
): string {
  const wanted = select === undefined ? undefined : (column: string) => select.has(column)
  const render = (isShort: boolean): string => {
    const { table, type } = change
    const row = isShort && change.row !== null ? shortened(change.row) : change.row
    // An update that leaves the key alone says nothing of the row before: then its key is that of the row now.
    const before = type === 'INSERT' ? null : (change.old ?? change.row)
    const isKey = (column: string) => primaryKey.includes(column)
    const members = [
      `"schema":${JSON.stringify(CLIENT_SCHEMA)}`,
      `"table":${JSON.stringify(table.name)}`,
      `"commit_timestamp":${JSON.stringify(committedAt)}`,
      `"type":${JSON.stringify(type)}`,
      `"columns":${columnsJson(table, wanted)}`,
      ...(row === null ? [] : [`"record":${recordJson(table, row, wanted)}`]),
      ...(before === null ? [] : [`"old_record":${recordJson(table, before, isKey)}`]),
      `"errors":${isShort ? '["Error 413: Payload Too Large"]' : 'null'}`,
    ]
    return `{${members.join(',')}}`
  }
  const json = render(false)
  return json.length > MAX_CHANGE_LENGTH ? render(true) : json
}

function shortened(row: NonNullable<RowChange['row']>): NonNullable<RowChange['row']> {
  return row.map((value) => (typeof value === 'string' && value.length > SHORT_VALUE ? false : value))
}
