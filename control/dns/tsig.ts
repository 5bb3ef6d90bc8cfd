import { createHmac, timingSafeEqual } from 'node:crypto'
import { DnsFault } from './dns-driver.ts'
import {
  CLASS,
  decodeMessage,
  encodeName,
  encodeRecord,
  TYPE,
  type WireMessage,
  type WireRecord,
} from './dns-message.ts'

/** A shared key of transaction signatures; the algorithm is HMAC-SHA-256, which RFC 8945 makes mandatory. */
export type TsigKey = { name: string; secret: Buffer }

const ALGORITHM = 'hmac-sha256'
const FUDGE_SECONDS = 300
/** Between two signed messages of one answer there may be this many unsigned ones (RFC 8945, section 5.3.1). */
const MAX_UNSIGNED = 99

export type SignedRequest = { octets: Buffer; mac: Buffer }

/** Adds a TSIG record to a request (RFC 8945, section 4.3.3). */
export function signMessage(message: Buffer, key: TsigKey, nowMs: number): SignedRequest {
  const seconds = Math.floor(nowMs / 1_000)
  const mac = createHmac('sha256', key.secret)
    .update(message)
    .update(tsigVariables(key.name, seconds, FUDGE_SECONDS, 0, Buffer.alloc(0)))
    .digest()
  const record = encodeRecord({
    name: key.name,
    type: TYPE.TSIG,
    class: CLASS.ANY,
    ttlSeconds: 0,
    data: Buffer.concat([
      encodeName(ALGORITHM),
      timers(seconds, FUDGE_SECONDS),
      uint16(mac.length),
      mac,
      message.subarray(0, 2),
      uint16(0),
      uint16(0),
    ]),
  })
  const octets = Buffer.concat([message, record])
  octets.writeUInt16BE(octets.readUInt16BE(10) + 1, 10)
  return { octets, mac }
}

/** Verifies the messages of one answer in order: the first is bound to the request, each further one to its predecessor. */
export class AnswerVerifier {
  readonly #key: TsigKey
  readonly #nowMs: () => number
  #previousMac: Buffer
  #isFirst = true
  #unsigned: Buffer[] = []

  constructor(key: TsigKey, requestMac: Buffer, nowMs: () => number) {
    this.#key = key
    this.#previousMac = requestMac
    this.#nowMs = nowMs
  }

  /** True while the last message taken was not signed: an answer must not end so. */
  get isOpen(): boolean {
    return this.#isFirst || this.#unsigned.length > 0
  }

  /** @throws DnsFault `dns_refused` when the signature is missing where it must be, wrong, or out of its time. */
  take(octets: Buffer): WireMessage {
    const message = decodeMessage(octets)
    const last = message.additional.at(-1)
    if (last?.type !== TYPE.TSIG) {
      // An answer that refuses our key cannot be signed with it (RFC 8945, section 5.2).
      if (message.rcode !== 0) throw refusal(`the answer is ${message.rcode} without a signature`)
      if (this.#isFirst || this.#unsigned.length >= MAX_UNSIGNED) throw refusal('the answer is not signed')
      this.#unsigned.push(octets)
      return message
    }
    const tsig = readTsig(last)
    if (tsig.error !== 0) throw refusal(TSIG_ERRORS[tsig.error] ?? `TSIG error ${tsig.error}`)
    const signed = Buffer.from(octets.subarray(0, message.lastRecordOffset))
    signed.writeUInt16BE(tsig.originalId, 0)
    signed.writeUInt16BE(signed.readUInt16BE(10) - 1, 10)
    const hmac = createHmac('sha256', this.#key.secret)
      .update(uint16(this.#previousMac.length))
      .update(this.#previousMac)
    for (const unsigned of this.#unsigned) hmac.update(unsigned)
    const expected = hmac
      .update(signed)
      .update(
        this.#isFirst
          ? tsigVariables(this.#key.name, tsig.seconds, tsig.fudgeSeconds, tsig.error, tsig.other)
          : timers(tsig.seconds, tsig.fudgeSeconds),
      )
      .digest()
    const isRight =
      last.name === this.#key.name && tsig.mac.length === expected.length && timingSafeEqual(tsig.mac, expected)
    if (!isRight) throw refusal('the answer’s signature is wrong')
    if (Math.abs(this.#nowMs() / 1_000 - tsig.seconds) > tsig.fudgeSeconds) throw refusal('the clocks differ')
    this.#previousMac = expected
    this.#isFirst = false
    this.#unsigned = []
    return message
  }
}

const TSIG_ERRORS: Readonly<Record<number, string>> = {
  16: 'the server finds our signature wrong (BADSIG)',
  17: 'the server does not know our key (BADKEY)',
  18: 'the server’s clock differs from ours (BADTIME)',
}

function readTsig(record: WireRecord) {
  const { data } = record
  const algorithm = encodeName(ALGORITHM)
  if (!data.subarray(0, algorithm.length).equals(algorithm)) throw refusal('the answer is signed otherwise')
  let offset = algorithm.length
  const take = (length: number) => {
    if (offset + length > data.length) throw refusal('the answer’s signature is cut off')
    offset += length
    return data.subarray(offset - length, offset)
  }
  const seconds = take(6).readUIntBE(0, 6)
  const fudgeSeconds = take(2).readUInt16BE()
  const mac = take(take(2).readUInt16BE())
  const originalId = take(2).readUInt16BE()
  const error = take(2).readUInt16BE()
  const other = take(take(2).readUInt16BE())
  return { seconds, fudgeSeconds, mac, originalId, error, other }
}

function tsigVariables(name: string, seconds: number, fudgeSeconds: number, error: number, other: Buffer): Buffer {
  return Buffer.concat([
    encodeName(name),
    uint16(CLASS.ANY),
    Buffer.alloc(4),
    encodeName(ALGORITHM),
    timers(seconds, fudgeSeconds),
    uint16(error),
    uint16(other.length),
    other,
  ])
}

function timers(seconds: number, fudgeSeconds: number): Buffer {
  const octets = Buffer.alloc(8)
  octets.writeUIntBE(seconds, 0, 6)
  octets.writeUInt16BE(fudgeSeconds, 6)
  return octets
}

function uint16(value: number): Buffer {
  const octets = Buffer.alloc(2)
  octets.writeUInt16BE(value)
  return octets
}

function refusal(why: string): DnsFault {
  return new DnsFault('dns_refused', `The DNS server: ${why}.`)
}
