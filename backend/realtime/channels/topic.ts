import type { BroadcastBody } from '../wire/message.ts'
import { OutboundMessage } from '../wire/outbound.ts'
import type { Bus, BusMessage } from './bus.ts'
import type { PresenceStore } from './presence-store.ts'
import { diffJson, isEmptyDiff, type PresenceDiff, type PresenceEntry, PresenceView } from './presence-view.ts'

/** A topic of one tenant. Public and private topics of one name are two: nothing said in one is heard in the other. */
export type TopicId = { tenantId: string; isPrivate: boolean; name: string }

/** A channel of a local client that has joined. */
export type TopicMember = { readonly wantsPresence: boolean; deliver(message: OutboundMessage): void }

/** Presence changes within this time go out as one `presence_diff`: a thousand joins are not a million messages. */
const DIFF_WINDOW_MS = 50
const NAME_PREFIX = 'realtime:'

/**
 * The Redis name of a topic. It begins with the tenant's id, whose shape is fixed, so no topic name, whatever it holds, can
 * make it another tenant's.
 */
export function topicKey({ tenantId, isPrivate, name }: TopicId): string {
  return `{${tenantId}}:${isPrivate ? 'private' : 'public'}:${name}`
}

/** One topic as this process takes part in it: its local members, and who is present anywhere. */
export class Topic {
  readonly id: TopicId
  /** Resolves when Redis delivers this topic to us. */
  readonly subscribed: Promise<void>
  readonly #members = new Set<TopicMember>()
  readonly #channel: string
  readonly #hash: string
  readonly #bus: Bus
  readonly #store: PresenceStore
  readonly #view = new PresenceView()
  /** Set once somebody here takes an interest in presence. */
  #presenceLoaded: Promise<void> | undefined
  /** References that came or went while the snapshot was being read: of them it may not know yet, or still. */
  #changedDuringLoad: Set<string> | undefined
  #pendingDiff: { joins: PresenceEntry[]; leaves: PresenceEntry[] } | undefined

  constructor(id: TopicId, bus: Bus, store: PresenceStore) {
    this.id = id
    this.#bus = bus
    this.#store = store
    this.#channel = `aerodb:realtime:topic:${topicKey(id)}`
    this.#hash = `aerodb:realtime:presence:${topicKey(id)}`
    this.subscribed = bus.subscribe(this.#channel, (message) => this.#onBusMessage(message))
  }

  /** The topic as clients name it. */
  get clientTopic(): string {
    return NAME_PREFIX + this.id.name
  }

  get size(): number {
    return this.#members.size
  }

  add(member: TopicMember): void {
    this.#members.add(member)
  }

  delete(member: TopicMember): void {
    this.#members.delete(member)
  }

  /** Hands a broadcast to every member everywhere, without `sender` unless it asked for its own. */
  broadcast(body: BroadcastBody, sender?: TopicMember): void {
    publishBroadcast(this.#bus, this.id, body)
    this.#deliverBroadcast(body, sender)
  }

  /** Who is present, as `presence_state` says it; knows of other processes once it has asked Redis. */
  async presenceStateJson(): Promise<string> {
    await this.#loadPresence()
    this.#flushDiff()
    return this.#view.stateJson()
  }

  /** Replaces what one of our clients tracks; either may be absent. */
  changePresence(previous: PresenceEntry | undefined, next: PresenceEntry | undefined): void {
    void this.#loadPresence()
    const diff: PresenceDiff = {
      joins: next === undefined ? [] : [next],
      leaves: previous === undefined ? [] : [previous],
    }
    this.#apply(diff)
    void this.#store.record(this.#hash, diff)
    void this.#bus.publish(this.#channel, { type: 'presence', diff })
  }

  /** After an interruption: our entries are written again, and what was missed is made good. One reading at a time. */
  resync(): void {
    this.#presenceLoaded = this.#presenceLoaded?.then(async () => {
      await this.#bus.confirm(this.#channel).catch(() => {})
      const ours = this.#view.select((ref) => this.#store.isOurs(ref))
      await this.#store.write(this.#hash, ours).catch(() => {})
      void this.#bus.publish(this.#channel, { type: 'presence', diff: { joins: ours, leaves: [] } })
      await this.#readPresence()
    })
  }

  /** A process has died: what it held leaves. Redis is cleared of it by whoever reads the topic next, who can tell whether it came back. */
  dropPresences(isGone: (ref: string) => boolean): void {
    const leaves = this.#view.select(isGone)
    if (leaves.length === 0) return
    this.#apply({ joins: [], leaves })
  }

  /** Stops listening; the last member has left. */
  close(): void {
    if (this.#pendingDiff !== undefined) this.#pendingDiff = undefined
    this.#bus.unsubscribe(this.#channel)
  }

  #loadPresence(): Promise<void> {
    // A subscription that fails is one that Redis ends with: then we know our own.
    this.#presenceLoaded ??= this.subscribed.catch(() => {}).then(() => this.#readPresence())
    return this.#presenceLoaded
  }

  async #readPresence(): Promise<void> {
    const changed = new Set<string>()
    this.#changedDuringLoad = changed
    try {
      const entries = await this.#store.read(this.#hash)
      this.#queueDiff(this.#view.reconcile(entries, (ref) => changed.has(ref) || this.#store.isOurs(ref)))
    } catch {
      // Redis is away: we know our own, and `resync` follows when it is back.
    } finally {
      if (this.#changedDuringLoad === changed) this.#changedDuringLoad = undefined
    }
  }

  #apply(diff: PresenceDiff): void {
    for (const { ref } of [...diff.joins, ...diff.leaves]) this.#changedDuringLoad?.add(ref)
    this.#queueDiff(this.#view.apply(diff))
  }

  #queueDiff(diff: PresenceDiff): void {
    if (isEmptyDiff(diff)) return
    if (this.#pendingDiff === undefined) {
      this.#pendingDiff = { joins: [], leaves: [] }
      setTimeout(() => this.#flushDiff(), DIFF_WINDOW_MS).unref()
    }
    const pending = this.#pendingDiff
    // Clients apply joins before leaves: who left and came back within the window never left.
    const gone = new Set(pending.leaves.map(({ ref }) => ref))
    const back = new Set(diff.joins.map(({ ref }) => ref).filter((ref) => gone.has(ref)))
    pending.leaves = pending.leaves.filter(({ ref }) => !back.has(ref))
    pending.joins.push(...diff.joins.filter(({ ref }) => !back.has(ref)))
    pending.leaves.push(...diff.leaves)
  }

  #flushDiff(): void {
    const diff = this.#pendingDiff
    if (diff === undefined) return
    this.#pendingDiff = undefined
    if (isEmptyDiff(diff)) return
    const address = { joinRef: null, ref: null, topic: this.clientTopic, event: 'presence_diff' }
    const message = OutboundMessage.json(address, diffJson(diff))
    for (const member of this.#members) if (member.wantsPresence) member.deliver(message)
  }

  #deliverBroadcast(body: BroadcastBody, sender?: TopicMember): void {
    const message = OutboundMessage.broadcast(this.clientTopic, body)
    for (const member of this.#members) if (member !== sender) member.deliver(message)
  }

  #onBusMessage({ header, bytes }: BusMessage): void {
    if (header.type === 'broadcast') {
      const { event, encoding } = header as { event: string; encoding: BroadcastBody['encoding'] }
      this.#deliverBroadcast({ event, encoding, bytes })
    } else if (header.type === 'presence' && this.#presenceLoaded !== undefined) {
      const diff = header.diff as PresenceDiff
      for (const { ref } of diff.joins) this.#store.sawPeer(ref)
      this.#apply(diff)
    }
  }
}

/** Publishes a broadcast to the other processes, also for a topic that has no members here (the HTTP endpoint). */
export function publishBroadcast(bus: Bus, id: TopicId, body: BroadcastBody): void {
  const header = { type: 'broadcast', event: body.event, encoding: body.encoding }
  void bus.publish(`aerodb:realtime:topic:${topicKey(id)}`, header, body.bytes)
}
