import { BROADCAST_EVENT, type InboundMessage, MalformedFrameError, type Ref, type Vsn } from './message.ts'

/** The kind of a binary frame by which realtime-js pushes a broadcast (`Serializer.KINDS.userBroadcastPush`). */
const USER_BROADCAST_PUSH = 3
const JSON_ENCODING = 1
const HEADER_LENGTH = 7

/** A text of UTF-8 that was cut or forged must not turn into replacement characters, under which two topics would be one. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads one frame of a client: an object (vsn 1.0.0), an array `[join_ref, ref, topic, event, payload]` (vsn 2.0.0), or
 * realtime-js's binary form of a broadcast.
 * @throws MalformedFrameError
 */
export function decodeFrame(data: Buffer, isBinary: boolean, vsn: Vsn): InboundMessage {
  if (isBinary) return decodeBinary(data)
  const parsed = parseJson(data, 'frame')
  if (vsn === '1.0.0') {
    if (!isRecord(parsed)) throw new MalformedFrameError('A frame of version 1.0.0 is an object')
    const { join_ref, ref, topic, event, payload } = parsed
    return jsonMessage(join_ref, ref, topic, event, payload)
  }
  if (!Array.isArray(parsed) || parsed.length !== 5)
    throw new MalformedFrameError('A frame of version 2.0.0 is an array of five')
  const [joinRef, ref, topic, event, payload] = parsed as unknown[]
  return jsonMessage(joinRef, ref, topic, event, payload)
}

function jsonMessage(joinRef: unknown, ref: unknown, topic: unknown, event: unknown, payload: unknown): InboundMessage {
  if (typeof topic !== 'string' || !topic.isWellFormed()) throw new MalformedFrameError('`topic` is a text')
  if (typeof event !== 'string') throw new MalformedFrameError('`event` is a text')
  const address = { joinRef: readRef(joinRef), ref: readRef(ref), topic, event }
  if (event === BROADCAST_EVENT && isRecord(payload) && typeof payload.event === 'string') {
    const bytes = Buffer.from(JSON.stringify(payload))
    return {
      ...address,
      body: {
        kind: 'broadcast',
        broadcast: { event: payload.event, encoding: 'envelope', bytes },
        wantsPersistence: isTruthy(payload.persist),
      },
    }
  }
  return { ...address, body: { kind: 'json', payload } }
}

/** One byte of kind, five of lengths, one of encoding; join_ref, ref, topic, user event and metadata; the user's payload. */
function decodeBinary(data: Buffer): InboundMessage {
  if (data.length < HEADER_LENGTH || data[0] !== USER_BROADCAST_PUSH)
    throw new MalformedFrameError('A binary frame is a broadcast push')
  let offset = HEADER_LENGTH
  const take = (index: number): string => {
    const end = offset + (data[index] ?? 0)
    if (end > data.length) throw new MalformedFrameError('A binary frame ends before its header says')
    const text = decodeUtf8(data.subarray(offset, end))
    offset = end
    return text
  }
  const joinRef = take(1)
  const ref = take(2)
  const topic = take(3)
  const event = take(4)
  const metadata = take(5)
  const isJson = data[6] === JSON_ENCODING
  const bytes = data.subarray(offset)
  // Other clients parse what we hand on, so what calls itself JSON must be JSON.
  if (isJson) parseJson(bytes, 'broadcast payload')
  const meta: unknown = metadata === '' ? undefined : parseJson(Buffer.from(metadata), 'metadata')
  return {
    joinRef: joinRef === '' ? null : joinRef,
    ref: ref === '' ? null : ref,
    topic,
    event: BROADCAST_EVENT,
    body: {
      kind: 'broadcast',
      broadcast: { event, encoding: isJson ? 'json' : 'binary', bytes },
      wantsPersistence: isRecord(meta) && isTruthy(meta.persist),
    },
  }
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes))
  } catch (fault) {
    if (fault instanceof MalformedFrameError) throw fault
    throw new MalformedFrameError(`The ${what} is not JSON`)
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new MalformedFrameError('A text is UTF-8')
  }
}

function readRef(value: unknown): Ref {
  if (value === undefined || value === null) return null
  if (typeof value === 'number' || (typeof value === 'string' && value.length <= 255)) return value
  throw new MalformedFrameError('A ref is a short text or a number')
}

function isTruthy(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false
}

/** True for a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
