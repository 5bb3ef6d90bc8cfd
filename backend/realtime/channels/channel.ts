import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../../runtime/clock.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { Identity } from '../access/identity.ts'
import { InvalidTokenError, type TokenVerifier } from '../access/token-verifier.ts'
import type { RealtimeLimits } from '../limits.ts'
import { isRecord } from '../wire/decode-frame.ts'
import type { InboundMessage, Ref } from '../wire/message.ts'
import { OutboundMessage } from '../wire/outbound.ts'
import {
  BindingError,
  type ChangeSubscriber,
  type ChangeSubscription,
  type ChangesPort,
  SUBSCRIBED,
} from './changes-port.ts'
import { type JoinConfig, parseJoinConfig } from './join-config.ts'
import { type PresenceEntry, presenceMetaJson } from './presence-view.ts'
import type { Socket, SocketTenant } from './socket.ts'
import type { Topic, TopicMember } from './topic.ts'
import type { Topics } from './topics.ts'

export type ChannelServices = {
  topics: Topics
  tokens: TokenVerifier
  changes: ChangesPort
  limits: RealtimeLimits
  clock: Clock
  log: Logger
}

/** Timers hold 31 bits of milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1
const SYSTEM = 'system'

/**
 * One client's part in one topic: `joining → joined → closed`. A join that is refused, a leave, a lost socket, an expired token
 * all end in `closed`, after which nothing is sent or heard.
 */
export class Channel implements TopicMember, ChangeSubscriber {
  readonly joinRef: Ref
  readonly #socket: Socket
  /** The topic as the client names it. */
  readonly clientTopic: string
  /** The same without `realtime:`. */
  readonly #subTopic: string
  readonly #services: ChannelServices
  readonly #onClosed: (channel: Channel) => void
  #state: 'joining' | 'joined' | 'closed' = 'joining'
  #config: JoinConfig | undefined
  #identity: Identity
  #topic: Topic | undefined
  #presence: PresenceEntry | undefined
  #changes: ChangeSubscription | undefined
  #expiry: NodeJS.Timeout | undefined
  /** Refreshed tokens are verified one after the other: the last one sent is the one in force. */
  #refreshing: Promise<void> = Promise.resolve()
  wantsPresence = false

  constructor(options: {
    socket: Socket
    clientTopic: string
    joinRef: Ref
    services: ChannelServices
    onClosed: (channel: Channel) => void
  }) {
    this.#socket = options.socket
    this.clientTopic = options.clientTopic
    this.#subTopic = options.clientTopic.slice(options.clientTopic.indexOf(':') + 1)
    this.joinRef = options.joinRef
    this.#services = options.services
    this.#onClosed = options.onClosed
    this.#identity = options.socket.identity
  }

  get tenant(): SocketTenant {
    return this.#socket.tenant
  }

  get identity(): Identity {
    return this.#identity
  }

  /** Reads what is asked, verifies who asks, enters the topic, subscribes to changes, and only then answers. */
  async join(ref: Ref, payload: unknown): Promise<void> {
    try {
      const config = parseJoinConfig(payload)
      if ('error' in config) return this.#refuse(ref, config.error)
      if (config.bindings.length > this.#services.limits.maxBindingsPerChannel)
        return this.#refuse(ref, 'TooManyBindings: The channel asks for too many postgres_changes')
      this.#config = config
      this.wantsPresence = config.presence.enabled
      if (config.accessToken !== undefined)
        this.#identity = await this.#services.tokens.verify(this.tenant, config.accessToken)
      const refusal = this.#refusal(this.#identity)
      if (refusal !== undefined) return this.#refuse(ref, refusal)
      if (this.#isClosed()) return
      await this.#enter(config)
      if (this.#isClosed()) return
      const isWatching = await this.#watch(config)
      if (this.#isClosed()) return
      this.#state = 'joined'
      this.#reply(ref, 'ok', {
        postgres_changes: config.bindings.map((binding, index) => ({ id: index + 1, ...withoutNulls(binding) })),
      })
      if (isWatching === 'ok') this.onStatus('ok', SUBSCRIBED)
      else if (isWatching !== undefined) {
        if (isWatching === 'late') this.onStatus('error', 'Changes do not flow yet; trying again')
        this.#announceWatching()
      }
      this.#scheduleExpiry()
      await this.#sendPresenceState()
    } catch (fault) {
      if (fault instanceof InvalidTokenError || fault instanceof BindingError) return this.#refuse(ref, fault.message)
      this.#services.log.error({ err: fault, tenant_id: this.tenant.tenantId }, 'a join failed')
      this.#refuse(ref, 'InternalError: The channel could not be joined. Try again in a moment.')
    }
  }

  /** Handles what the client says in the joined channel. */
  handle(message: InboundMessage): void {
    const { ref, event, body } = message
    if (this.#state !== 'joined') {
      this.#reply(ref, 'error', { reason: 'The channel is not joined yet' })
      return
    }
    if (body.kind === 'broadcast') {
      this.#broadcast(message)
      return
    }
    if (event === 'presence') {
      this.#changePresence(ref, body.payload)
      return
    }
    if (event === 'access_token') {
      this.#refreshToken(body.payload)
      return
    }
    // A client may broadcast under any payload; without an event of its own nobody could be listening.
    this.#reply(ref, 'error', { reason: `UnknownEvent: ${event.slice(0, 64)}` })
  }

  /** Receives what the topic says. */
  deliver(message: OutboundMessage): void {
    if (this.#state === 'joined') this.#socket.send(message, true)
  }

  onChange(message: OutboundMessage): void {
    if (this.#state === 'joined') this.#socket.send(message, true)
  }

  onStatus(status: 'ok' | 'error', message: string): void {
    if (this.#state === 'joined') this.#sendSystem('postgres_changes', status, message)
  }

  /** The client leaves: confirmed, then closed. */
  leave(ref: Ref): void {
    this.#reply(ref, 'ok', {})
    this.closeWith('phx_close')
  }

  /** Ends the channel and tells the client: `phx_close` for good, `phx_error` to have it join again. */
  closeWith(event: 'phx_close' | 'phx_error'): void {
    if (this.#isClosed()) return
    this.close()
    // realtime-js takes these two for its present channel only when `ref` is the join's.
    this.#send(event, this.joinRef, '{}')
  }

  /** Ends the channel without a word: the socket is gone, or another join takes its place. */
  close(): void {
    if (this.#isClosed()) return
    this.#state = 'closed'
    clearTimeout(this.#expiry)
    this.#changes?.close()
    if (this.#topic !== undefined) {
      if (this.#presence !== undefined) this.#topic.changePresence(this.#presence, undefined)
      this.#services.topics.leave(this.#topic, this)
    }
    this.#onClosed(this)
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Why this identity may not be here, in Supabase's words. A private channel takes a user's token or the service key. */
  #refusal(identity: Identity): string | undefined {
    if (identity.expiresAtMs <= this.#services.clock.nowMs()) return 'InvalidJWTToken: Token has expired'
    if (this.#config?.isPrivate === true && identity.role === 'anon')
      return 'Unauthorized: You do not have permissions to read from this Channel topic: a private channel takes a user token'
    return undefined
  }

  async #enter({ isPrivate }: JoinConfig): Promise<void> {
    const id = { tenantId: this.tenant.tenantId, isPrivate, name: this.#subTopic }
    const topic = await this.#services.topics.enter(id, this)
    if (this.#isClosed()) this.#services.topics.leave(topic, this)
    else this.#topic = topic
  }

  /**
   * Subscribes to changes and waits a while for them to flow, so that what is committed after the reply is seen.
   * @returns `undefined` without bindings; `late` when the reply must not wait any longer; `refused` for wrong bindings.
   */
  async #watch(config: JoinConfig): Promise<'ok' | 'late' | 'refused' | undefined> {
    if (config.bindings.length === 0) return undefined
    const bindings = config.bindings.map((binding, index) => ({ ...binding, id: index + 1 }))
    const subscription = this.#services.changes.subscribe(this, bindings)
    subscription.ready.catch(() => {})
    this.#changes = subscription
    const waitMs = config.waitForChangesMs ?? this.#services.limits.joinChangesTimeoutMs
    const deadline = new AbortController()
    try {
      const outcome = await Promise.race([
        subscription.ready.then(() => 'ok' as const),
        sleep(waitMs, 'late' as const, { signal: deadline.signal, ref: false }),
      ])
      if (outcome === 'late' && config.waitForChangesMs !== undefined)
        throw new BindingError('PostgresChangesSubscribeTimeout: The changes did not begin to flow in time')
      return outcome
    } catch (fault) {
      // As at Supabase, a binding that cannot be served fails the join only where the client waits for it.
      if (fault instanceof BindingError && config.waitForChangesMs === undefined) return 'refused'
      throw fault
    } finally {
      deadline.abort()
    }
  }

  #announceWatching(): void {
    this.#changes?.ready.then(
      () => this.onStatus('ok', SUBSCRIBED),
      (fault: unknown) =>
        this.onStatus('error', fault instanceof BindingError ? fault.message : 'Changes cannot be read at the moment'),
    )
  }

  #broadcast({ ref, body }: InboundMessage): void {
    if (body.kind !== 'broadcast' || this.#topic === undefined) return
    if (body.wantsPersistence) {
      this.#reply(ref, 'error', { error: 'Broadcasts are not stored here' })
      return
    }
    const config = this.#config?.broadcast
    this.#topic.broadcast(body.broadcast, config?.self === true ? undefined : this)
    if (config?.ack === true) this.#reply(ref, 'ok', {})
  }

  #changePresence(ref: Ref, payload: unknown): void {
    const event = isRecord(payload) ? payload.event : undefined
    const topic = this.#topic
    if (topic === undefined || (event !== 'track' && event !== 'untrack')) {
      this.#reply(ref, 'error', { reason: 'UnknownPresenceEvent: `track` or `untrack`' })
      return
    }
    const previous = this.#presence
    let next: PresenceEntry | undefined
    if (event === 'track') {
      const state = isRecord(payload) ? (payload.payload ?? {}) : undefined
      if (!isRecord(state)) {
        this.#reply(ref, 'error', { reason: 'A presence is an object' })
        return
      }
      const entryRef = this.#services.topics.presences.makeRef()
      const metaJson = presenceMetaJson(state, entryRef)
      if (Buffer.byteLength(metaJson) > this.#services.limits.maxPresenceBytes) {
        this.#reply(ref, 'error', { reason: 'PresenceTooLarge: The tracked state is too large' })
        return
      }
      next = { ref: entryRef, key: this.#presenceKey(), metaJson }
    }
    this.#presence = next
    if (previous !== undefined || next !== undefined) topic.changePresence(previous, next)
    this.#reply(ref, 'ok', {})
  }

  #presenceKey(): string {
    if (this.#presence !== undefined) return this.#presence.key
    const key = this.#config?.presence.key ?? ''
    return key === '' ? randomUUID() : key
  }

  #refreshToken(payload: unknown): void {
    const token = isRecord(payload) ? payload.access_token : undefined
    this.#refreshing = this.#refreshing.then(async () => {
      if (this.#isClosed()) return
      try {
        // A client that signs out sends null: it is again who made the handshake.
        const identity =
          typeof token === 'string' && token !== ''
            ? await this.#services.tokens.verify(this.tenant, token)
            : this.#socket.identity
        const refusal = this.#refusal(identity)
        if (refusal !== undefined) throw new InvalidTokenError(refusal)
        this.#identity = identity
        this.#scheduleExpiry()
      } catch (fault) {
        if (!(fault instanceof InvalidTokenError)) {
          // The directory is away: the token in force goes on until it ends.
          this.#services.log.warn({ err: fault, tenant_id: this.tenant.tenantId }, 'a token could not be verified')
          return
        }
        this.#shutDown(fault.message)
      }
    })
  }

  #scheduleExpiry(): void {
    clearTimeout(this.#expiry)
    const { expiresAtMs } = this.#identity
    if (this.#isClosed() || expiresAtMs === Number.POSITIVE_INFINITY) return
    const leftMs = expiresAtMs - this.#services.clock.nowMs()
    if (leftMs <= 0) {
      this.#shutDown('Token has expired')
      return
    }
    this.#expiry = setTimeout(() => this.#scheduleExpiry(), Math.min(leftMs, MAX_TIMER_MS)).unref()
  }

  /** Says why, then closes. */
  #shutDown(message: string): void {
    if (this.#isClosed()) return
    this.#sendSystem(SYSTEM, 'error', message)
    this.closeWith('phx_close')
  }

  async #sendPresenceState(): Promise<void> {
    if (!this.wantsPresence || this.#topic === undefined) return
    const state = await this.#topic.presenceStateJson()
    if (this.#isClosed()) return
    const address = { joinRef: this.joinRef, ref: null, topic: this.clientTopic, event: 'presence_state' }
    this.#socket.send(OutboundMessage.json(address, state), true)
  }

  #refuse(ref: Ref, reason: string): void {
    if (this.#isClosed()) return
    this.close()
    this.#reply(ref, 'error', { reason })
  }

  #sendSystem(extension: string, status: 'ok' | 'error', message: string): void {
    this.#send(SYSTEM, null, JSON.stringify({ extension, status, message, channel: this.#subTopic }))
  }

  #reply(ref: Ref, status: 'ok' | 'error', response: Readonly<Record<string, unknown>>): void {
    this.#send('phx_reply', ref, JSON.stringify({ status, response }))
  }

  #send(event: string, ref: Ref, payloadJson: string): void {
    const address = { joinRef: this.joinRef, ref, topic: this.clientTopic, event }
    this.#socket.send(OutboundMessage.json(address, payloadJson), false)
  }
}

function withoutNulls(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null && value !== undefined))
}
