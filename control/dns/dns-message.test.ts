import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DnsFault } from './dns-driver.ts'
import { CLASS, decodeMessage, encodeMessage, MalformedMessageError, TYPE } from './dns-message.ts'
import { decodeData, encodeData } from './record-data.ts'
import { AnswerVerifier, signMessage } from './tsig.ts'

const labels = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/)
const names = fc.array(labels, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'))
const key = { name: 'a-key', secret: Buffer.alloc(32, 7) }
const nowMs = Date.UTC(2026, 10, 23)

test('a message reads back as it was written', () => {
  fc.assert(
    fc.property(names, fc.nat(65_535), fc.uint8Array({ maxLength: 300 }), (name, id, data) => {
      const record = { name, type: TYPE.TXT, class: CLASS.IN, ttlSeconds: 300, data: Buffer.from(data) }
      const question = { name, type: TYPE.SOA, class: CLASS.IN }
      const message = decodeMessage(
        encodeMessage({ id, opcode: 5, questions: [question], answers: [record], authority: [record] }),
      )
      expect(message).toMatchObject({ id, opcode: 5, questions: [question], answers: [record], authority: [record] })
    }),
  )
})

test('whatever octets come, decoding ends with a message or says that they are none', () => {
  const valid = encodeMessage({ id: 1, opcode: 0, questions: [{ name: 'a.example', type: 1, class: 1 }] })
  const damaged = fc
    .tuple(fc.nat(valid.length - 1), fc.nat(255), fc.uint8Array({ maxLength: 40 }))
    .map(([at, octet, tail]) => Buffer.concat([valid.fill(octet, at, at + 1), tail]))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 600 }).map((octets) => Buffer.from(octets)),
        damaged,
      ),
      (octets) => {
        try {
          decodeMessage(octets)
        } catch (fault) {
          expect(fault).toBeInstanceOf(MalformedMessageError)
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

test('a pointer that leads in a circle is refused', () => {
  const header = encodeMessage({ id: 1, opcode: 0, questions: [] }).fill(1, 5, 6)
  expect(() => decodeMessage(Buffer.concat([header, Buffer.from([0xc0, 12, 0, 1, 0, 1])]))).toThrow(
    MalformedMessageError,
  )
})

test('values of every type read back as they were written', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV6(), names, fc.string({ maxLength: 700, unit: 'binary' }), (v4, v6, name, text) => {
      expect(decodeData('A', encodeData('A', v4))).toBe(v4)
      const v6Text = decodeData('AAAA', encodeData('AAAA', v6))
      expect(decodeData('AAAA', encodeData('AAAA', v6Text))).toBe(v6Text)
      expect(decodeData('CNAME', encodeData('CNAME', name))).toBe(name)
      expect(decodeData('TXT', encodeData('TXT', text))).toBe(text)
    }),
  )
  expect(decodeData('AAAA', encodeData('AAAA', '2001:DB8:0:0:0:0:0:1'))).toBe('2001:db8::1')
})

test('a signed answer is believed only for its request, under its key, unchanged and in its time', () => {
  const request = signMessage(encodeMessage({ id: 9, opcode: 0, questions: [] }), key, nowMs)
  const answer = (mac = request.mac, by = key) => signAnswer(mac, by)
  const verify = (octets: Buffer, atMs = nowMs) => new AnswerVerifier(key, request.mac, () => atMs).take(octets)
  expect(verify(answer()).id).toBe(9)
  const refused = [
    () => verify(answer(Buffer.alloc(32, 1))),
    () => verify(answer(request.mac, { ...key, secret: Buffer.alloc(32, 8) })),
    () => verify(answer(request.mac, { ...key, name: 'other' })),
    () => verify(answer().fill(1, 3, 4)),
    () => verify(answer(), nowMs + 301_000),
    () => verify(encodeMessage({ id: 9, opcode: 0, questions: [] })),
  ]
  for (const attempt of refused) expect(attempt).toThrow(DnsFault)
})

/** An answer as a server signs it: the request's MAC, with its length before it, goes into the digest first. */
function signAnswer(requestMac: Buffer, by: typeof key): Buffer {
  const plain = encodeMessage({ id: 9, opcode: 0, questions: [] })
  const length = Buffer.from([0, requestMac.length])
  const prefix = Buffer.concat([length, requestMac])
  const { mac } = signMessage(Buffer.concat([prefix, plain]), by, nowMs)
  const { octets } = signMessage(plain, by, nowMs)
  mac.copy(octets, octets.length - 6 - mac.length)
  return octets
}
