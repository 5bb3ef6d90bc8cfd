import { type Address, BROADCAST_EVENT, type BroadcastBody, type Vsn } from './message.ts'

/** What `ws` is given to send: a text frame or a binary one. */
export type WireFrame = { data: Buffer; isBinary: boolean }

/** A message for many sockets: made into bytes at most once for each version that is asked for. */
export class OutboundMessage {
  readonly #encode: (vsn: Vsn) => WireFrame | undefined
  readonly #frames = new Map<Vsn, WireFrame | undefined>()

  private constructor(encode: (vsn: Vsn) => WireFrame | undefined) {
    this.#encode = encode
  }

  /** @param payloadJson the payload as JSON text: whoever sends it to many makes it once. */
  static json(address: Address, payloadJson: string): OutboundMessage {
    return new OutboundMessage((vsn) => ({ data: Buffer.from(encodeText(vsn, address, payloadJson)), isBinary: false }))
  }

  static broadcast(topic: string, body: BroadcastBody): OutboundMessage {
    return new OutboundMessage((vsn) => encodeBroadcast(vsn, topic, body))
  }

  /** The frame for a socket of this version; `undefined` when the version has no way to say it (bytes in 1.0.0). */
  frame(vsn: Vsn): WireFrame | undefined {
    if (!this.#frames.has(vsn)) this.#frames.set(vsn, this.#encode(vsn))
    return this.#frames.get(vsn)
  }
}

function encodeText(vsn: Vsn, { joinRef, ref, topic, event }: Address, payloadJson: string): string {
  if (vsn === '2.0.0')
    return `[${JSON.stringify(joinRef)},${JSON.stringify(ref)},${JSON.stringify(topic)},${JSON.stringify(event)},${payloadJson}]`
  const joined = joinRef === null ? '' : `,"join_ref":${JSON.stringify(joinRef)}`
  return `{"topic":${JSON.stringify(topic)},"event":${JSON.stringify(event)},"payload":${payloadJson},"ref":${JSON.stringify(ref)}${joined}}`
}

/** The kind of the binary frame that realtime-js reads as a broadcast (`Serializer.KINDS.userBroadcast`). */
const USER_BROADCAST = 4

function encodeBroadcast(vsn: Vsn, topic: string, body: BroadcastBody): WireFrame | undefined {
  const address: Address = { joinRef: null, ref: null, topic, event: BROADCAST_EVENT }
  const text = (payloadJson: string): WireFrame => ({
    data: Buffer.from(encodeText(vsn, address, payloadJson)),
    isBinary: false,
  })
  if (body.encoding === 'envelope') return text(body.bytes.toString())
  const topicBytes = Buffer.from(topic)
  const eventBytes = Buffer.from(body.event)
  // The lengths of the binary form are one byte each.
  if (vsn === '2.0.0' && topicBytes.length <= 255 && eventBytes.length <= 255) {
    const encoding = body.encoding === 'json' ? 1 : 0
    const header = Buffer.from([USER_BROADCAST, topicBytes.length, eventBytes.length, 0, encoding])
    return { data: Buffer.concat([header, topicBytes, eventBytes, body.bytes]), isBinary: true }
  }
  if (body.encoding === 'binary') return undefined
  return text(`{"type":"broadcast","event":${JSON.stringify(body.event)},"payload":${body.bytes.toString()}}`)
}
