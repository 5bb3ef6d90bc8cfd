import type { RawData, WebSocket } from 'ws'
import type { Identity } from '../access/identity.ts'
import type { DeliveryMeter } from '../delivery-meter.ts'
import { decodeFrame } from '../wire/decode-frame.ts'
import { type InboundMessage, MalformedFrameError, type Vsn } from '../wire/message.ts'
import { OutboundMessage } from '../wire/outbound.ts'
import { Channel, type ChannelServices } from './channel.ts'
import type { MessageRate } from './message-rate.ts'
import type { Socket, SocketTenant } from './socket.ts'

/** Codes with which we close a socket (RFC 6455 7.4.1); the reason says more. */
export const CLOSE = { malformed: 1007, policy: 1008, fault: 1011, restart: 1012, slow: 1013 } as const

const REFUSAL_WINDOW_MS = 10_000
/** A heartbeat each second costs nothing; what comes faster counts like any message. */
const FREE_HEARTBEAT_MS = 1_000
/** How long a socket that we close may take to answer. */
const CLOSE_TIMEOUT_MS = 5_000
const TOPIC_PREFIX = 'realtime:'

export type ConnectionOptions = {
  ws: WebSocket
  tenant: SocketTenant
  vsn: Vsn
  identity: Identity
  rate: MessageRate
  meter: DeliveryMeter
  services: ChannelServices
}

/** One client's WebSocket: reads frames, hands them to its channels, and sends what they say as fast as the client reads. */
export class Connection implements Socket {
  readonly tenant: SocketTenant
  readonly vsn: Vsn
  readonly identity: Identity
  readonly #ws: WebSocket
  readonly #rate: MessageRate
  readonly #meter: DeliveryMeter
  readonly #services: ChannelServices
  readonly #channels = new Map<string, Channel>()
  #isAlive = true
  #closing = false
  #refusals = 0
  #refusalsSinceMs = 0
  #lastHeartbeatMs = Number.NEGATIVE_INFINITY

  constructor(options: ConnectionOptions) {
    this.tenant = options.tenant
    this.vsn = options.vsn
    this.identity = options.identity
    this.#ws = options.ws
    this.#rate = options.rate
    this.#meter = options.meter
    this.#services = options.services
    this.#ws.on('message', (data, isBinary) => this.#onFrame(data, isBinary))
    this.#ws.on('pong', () => {
      this.#isAlive = true
    })
    // A frame that is too large or breaks the protocol: ws has closed the socket with the fitting code.
    this.#ws.on('error', () => {})
    this.#ws.once('close', () => {
      this.#closing = true
      for (const channel of [...this.#channels.values()]) channel.close()
    })
  }

  get channelCount(): number {
    return this.#channels.size
  }

  send(message: OutboundMessage, isMetered: boolean): void {
    if (this.#closing) return
    const frame = message.frame(this.vsn)
    if (frame === undefined) return
    if (this.#ws.bufferedAmount > this.#services.limits.maxBufferedBytes) {
      this.close(CLOSE.slow, 'slow_reader')
      return
    }
    this.#ws.send(frame.data, { binary: frame.isBinary })
    if (isMetered) this.#meter.count(this.tenant.tenantId)
  }

  /** Closes the socket with a code and a reason; ends it when the client does not answer. */
  close(code: number, reason: string): void {
    if (this.#closing) return
    this.#closing = true
    this.#ws.close(code, reason)
    for (const channel of [...this.#channels.values()]) channel.close()
    setTimeout(() => this.#ws.terminate(), CLOSE_TIMEOUT_MS).unref()
  }

  /** Ends it at once. */
  terminate(): void {
    this.#ws.terminate()
  }

  /** Ends a socket that has been silent since the last call, and asks the others for a sign of life. */
  checkLife(): void {
    if (!this.#isAlive) {
      this.#ws.terminate()
      return
    }
    this.#isAlive = false
    if (!this.#closing) this.#ws.ping()
  }

  #onFrame(data: RawData, isBinary: boolean): void {
    if (this.#closing) return
    this.#isAlive = true
    try {
      this.#onMessage(decodeFrame(data as Buffer, isBinary, this.vsn))
    } catch (fault) {
      // Nesting deeper than the stack is as malformed as no JSON at all.
      if (fault instanceof MalformedFrameError || fault instanceof RangeError) {
        this.close(CLOSE.malformed, 'malformed_frame')
        return
      }
      this.#services.log.error({ err: fault, tenant_id: this.tenant.tenantId }, 'a message could not be handled')
      this.close(CLOSE.fault, 'internal')
    }
  }

  #onMessage(message: InboundMessage): void {
    if (message.topic === 'phoenix' && message.event === 'heartbeat' && this.#isFreeHeartbeat()) {
      this.#reply(message, 'ok', {})
      return
    }
    if (!this.#rate.take()) {
      this.#refuse(message)
      return
    }
    if (message.topic === 'phoenix') {
      this.#reply(message, 'ok', {})
      return
    }
    if (message.event === 'phx_join') {
      this.#join(message)
      return
    }
    const channel = this.#channels.get(message.topic)
    // What was said in an earlier join of the same topic is no longer meant for anybody.
    const isOutdated = channel !== undefined && message.joinRef !== null && message.joinRef !== channel.joinRef
    if (message.event === 'phx_leave') {
      if (channel === undefined || isOutdated) this.#reply(message, 'ok', {})
      else channel.leave(message.ref)
      return
    }
    if (channel === undefined || isOutdated) {
      this.#reply(message, 'error', { reason: 'unmatched topic' })
      return
    }
    channel.handle(message)
  }

  #join(message: InboundMessage): void {
    const { topic, ref, body } = message
    const { maxChannelsPerConnection, maxTopicLength } = this.#services.limits
    if (!topic.startsWith(TOPIC_PREFIX) || topic.length === TOPIC_PREFIX.length || topic.length > maxTopicLength) {
      this.#reply(message, 'error', { reason: 'unmatched topic' })
      return
    }
    // As in Phoenix, a second join of a topic takes the place of the first.
    this.#channels.get(topic)?.closeWith('phx_close')
    if (this.#channels.size >= maxChannelsPerConnection) {
      this.#reply(message, 'error', { reason: 'ChannelLimitReached: The socket has too many channels' })
      return
    }
    const channel = new Channel({
      socket: this,
      clientTopic: topic,
      joinRef: message.joinRef ?? ref,
      services: this.#services,
      onClosed: (closed) => {
        if (this.#channels.get(topic) === closed) this.#channels.delete(topic)
      },
    })
    this.#channels.set(topic, channel)
    void channel.join(ref, body.kind === 'json' ? body.payload : undefined)
  }

  #isFreeHeartbeat(): boolean {
    const nowMs = this.#services.clock.monotonicMs()
    if (nowMs - this.#lastHeartbeatMs < FREE_HEARTBEAT_MS) return false
    this.#lastHeartbeatMs = nowMs
    return true
  }

  /** Over the tenant's rate: refused, and in the end closed when the client does not listen. */
  #refuse(message: InboundMessage): void {
    const nowMs = this.#services.clock.monotonicMs()
    if (nowMs - this.#refusalsSinceMs > REFUSAL_WINDOW_MS) {
      this.#refusalsSinceMs = nowMs
      this.#refusals = 0
    }
    this.#refusals += 1
    if (this.#refusals > this.#services.limits.maxRefusals) {
      this.close(CLOSE.policy, 'rate_limited')
      return
    }
    this.#reply(message, 'error', { reason: 'Too many messages per second' })
  }

  #reply(to: InboundMessage, status: 'ok' | 'error', response: Readonly<Record<string, unknown>>): void {
    const address = { joinRef: to.joinRef, ref: to.ref, topic: to.topic, event: 'phx_reply' }
    this.send(OutboundMessage.json(address, JSON.stringify({ status, response })), false)
  }
}
