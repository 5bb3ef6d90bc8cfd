import { RealtimeClient } from '@supabase/realtime-js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeFrame } from './decode-frame.ts'
import { MalformedFrameError, VSNS, type Vsn } from './message.ts'
import { OutboundMessage } from './outbound.ts'

type Decoded = { join_ref: unknown; ref: unknown; topic: string; event: string; payload: unknown }

const client = new RealtimeClient('ws://nowhere', { params: { apikey: 'x' } }).serializer
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).filter((value) => value.isWellFormed())
/** Short enough for one byte of length in UTF-8. */
const short = text(60)
const refs = fc.option(fc.integer({ min: 1 }).map(String))
const vsns = fc.constantFrom(...VSNS)

/** What an unmodified client reads from a frame of ours. */
function readAsClient(vsn: Vsn, message: OutboundMessage): Decoded | undefined {
  const frame = message.frame(vsn)
  if (frame === undefined) return undefined
  if (vsn === '1.0.0') return JSON.parse(frame.data.toString()) as Decoded
  const raw = frame.isBinary ? new Uint8Array(frame.data).buffer : frame.data.toString()
  return client.decode(raw, (decoded: Decoded) => decoded) as Decoded
}

test('whatever message we send, the client reads it as it was', () => {
  fc.assert(
    fc.property(vsns, refs, refs, text(300), text(50), fc.jsonValue(), (vsn, joinRef, ref, topic, event, payload) => {
      const json = JSON.stringify(payload)
      const read = readAsClient(vsn, OutboundMessage.json({ joinRef, ref, topic, event }, json))
      expect(read).toMatchObject({ ref, topic, event, payload: JSON.parse(json) })
      expect(read?.join_ref ?? null).toBe(joinRef)
    }),
  )
})

test('whatever broadcast a client pushes, another client of either version reads the same', () => {
  fc.assert(
    fc.property(refs, short, short, fc.dictionary(text(20), fc.jsonValue()), (ref, topic, event, payload) => {
      const pushed = { join_ref: '1', ref, topic, event: 'broadcast', payload: { type: 'broadcast', event, payload } }
      const plain = JSON.parse(JSON.stringify(payload)) as unknown
      const binary = client.encode(pushed, (bytes) => bytes) as ArrayBuffer
      const frames: [Buffer, boolean, Vsn][] = [
        [Buffer.from(binary), true, '2.0.0'],
        [Buffer.from(JSON.stringify(pushed)), false, '1.0.0'],
      ]
      for (const [data, isBinary, vsn] of frames) {
        const inbound = decodeFrame(data, isBinary, vsn)
        expect(inbound).toMatchObject({ joinRef: '1', ref, topic, event: 'broadcast', body: { kind: 'broadcast' } })
        if (inbound.body.kind !== 'broadcast') throw new Error('unreachable')
        const message = OutboundMessage.broadcast(topic, inbound.body.broadcast)
        for (const receiver of VSNS)
          expect(readAsClient(receiver, message)).toMatchObject({
            topic,
            event: 'broadcast',
            payload: { type: 'broadcast', event, payload: plain },
          })
      }
    }),
  )
})

test('bytes go from version 2 to version 2, and version 1 is spared what it cannot read', () => {
  fc.assert(
    fc.property(short, short, fc.uint8Array({ maxLength: 500 }), (topic, event, bytes) => {
      const message = OutboundMessage.broadcast(topic, { event, encoding: 'binary', bytes: Buffer.from(bytes) })
      const read = readAsClient('2.0.0', message)?.payload as { payload: ArrayBuffer }
      expect(new Uint8Array(read.payload)).toEqual(bytes)
      expect(message.frame('1.0.0')).toBeUndefined()
    }),
  )
})

test('no bytes at all make the decoder do anything but decode or refuse', () => {
  const header = fc.tuple(fc.constant(3), ...Array.from({ length: 6 }, () => fc.nat(20)))
  const frames = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(header, fc.uint8Array({ maxLength: 100 })).map(([head, rest]) => new Uint8Array([...head, ...rest])),
    fc.json().map((json) => new TextEncoder().encode(json)),
    fc
      .array(fc.jsonValue(), { minLength: 5, maxLength: 5 })
      .map((five) => new TextEncoder().encode(JSON.stringify(five))),
  )
  fc.assert(
    fc.property(frames, fc.boolean(), vsns, (bytes, isBinary, vsn) => {
      try {
        const message = decodeFrame(Buffer.from(bytes), isBinary, vsn)
        expect(message.topic.isWellFormed()).toBe(true)
      } catch (fault) {
        expect(fault).toBeInstanceOf(MalformedFrameError)
      }
    }),
    { numRuns: 500 },
  )
})
