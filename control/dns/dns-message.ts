/**
 * As much of the DNS wire format (RFC 1035, RFC 2136) as dynamic updates need: messages are written without compression,
 * and read with it. Written here because the kept npm packages know neither class NONE nor TSIG, which signs exact bytes.
 */

export const TYPE = { A: 1, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, TSIG: 250, AXFR: 252, ANY: 255 } as const
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const
export const OPCODE = { query: 0, update: 5 } as const

/** RCODEs that we tell apart (RFC 1035, RFC 2136 section 2.2, RFC 8945). */
export const RCODE: Readonly<Record<number, string>> = {
  0: 'NOERROR',
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
  6: 'YXDOMAIN',
  7: 'YXRRSET',
  8: 'NXRRSET',
  9: 'NOTAUTH',
  10: 'NOTZONE',
}

/** A resource record; `data` is its RDATA, names in it uncompressed. */
export type WireRecord = { name: string; type: number; class: number; ttlSeconds: number; data: Buffer }

/** Header and the four sections; in an update they are zone, prerequisites, updates and additional data. */
export type WireMessage = {
  id: number
  isResponse: boolean
  opcode: number
  isTruncated: boolean
  rcode: number
  questions: readonly { name: string; type: number; class: number }[]
  answers: readonly WireRecord[]
  authority: readonly WireRecord[]
  additional: readonly WireRecord[]
  /** Where the last record of the additional section begins: what a TSIG there signs ends here. */
  lastRecordOffset: number
}

/** What came is no DNS message. */
export class MalformedMessageError extends Error {
  constructor(what: string) {
    super(`Not a DNS message: ${what}`)
    this.name = 'MalformedMessageError'
  }
}

/** @throws RangeError when a label is not 1 to 63 octets long, or the name longer than 255. */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.')
  const parts: Buffer[] = []
  for (const label of labels) {
    const octets = Buffer.from(label, 'latin1')
    if (octets.length < 1 || octets.length > 63) throw new RangeError('A label has 1 to 63 octets')
    parts.push(Buffer.from([octets.length]), octets)
  }
  const encoded = Buffer.concat([...parts, Buffer.from([0])])
  if (encoded.length > 255) throw new RangeError('A name has at most 255 octets')
  return encoded
}

export function encodeRecord(record: WireRecord): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(record.type, 0)
  fixed.writeUInt16BE(record.class, 2)
  fixed.writeUInt32BE(record.ttlSeconds, 4)
  fixed.writeUInt16BE(record.data.length, 8)
  return Buffer.concat([encodeName(record.name), fixed, record.data])
}

export function encodeMessage(message: {
  id: number
  opcode: number
  questions: readonly { name: string; type: number; class: number }[]
  answers?: readonly WireRecord[]
  authority?: readonly WireRecord[]
}): Buffer {
  const { answers = [], authority = [] } = message
  const header = Buffer.alloc(12)
  header.writeUInt16BE(message.id, 0)
  header.writeUInt16BE(message.opcode << 11, 2)
  header.writeUInt16BE(message.questions.length, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authority.length, 8)
  const questions = message.questions.map(({ name, type, class: qclass }) => {
    const fixed = Buffer.alloc(4)
    fixed.writeUInt16BE(type, 0)
    fixed.writeUInt16BE(qclass, 2)
    return Buffer.concat([encodeName(name), fixed])
  })
  return Buffer.concat([header, ...questions, ...answers.map(encodeRecord), ...authority.map(encodeRecord)])
}

/** @throws MalformedMessageError and nothing else, whatever the octets are. */
export function decodeMessage(octets: Buffer): WireMessage {
  const reader = new Reader(octets)
  const id = reader.uint16()
  const flags = reader.uint16()
  const [questionCount, answerCount, authorityCount, additionalCount] = [
    reader.uint16(),
    reader.uint16(),
    reader.uint16(),
    reader.uint16(),
  ]
  const questions = Array.from({ length: questionCount }, () => ({
    name: reader.name(),
    type: reader.uint16(),
    class: reader.uint16(),
  }))
  let lastRecordOffset = reader.offset
  const records = (count: number) =>
    Array.from({ length: count }, () => {
      lastRecordOffset = reader.offset
      return reader.record()
    })
  const answers = records(answerCount)
  const authority = records(authorityCount)
  const additional = records(additionalCount)
  return {
    id,
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    isTruncated: (flags & 0x0200) !== 0,
    rcode: flags & 15,
    questions,
    answers,
    authority,
    additional,
    lastRecordOffset,
  }
}

class Reader {
  readonly #octets: Buffer
  offset = 0

  constructor(octets: Buffer) {
    this.#octets = octets
  }

  uint16(): number {
    this.#need(2)
    this.offset += 2
    return this.#octets.readUInt16BE(this.offset - 2)
  }

  uint32(): number {
    this.#need(4)
    this.offset += 4
    return this.#octets.readUInt32BE(this.offset - 4)
  }

  /** A name, following compression pointers (RFC 1035, section 4.1.4); each must point further back, so it ends. */
  name(): string {
    const labels: string[] = []
    let position = this.offset
    let limit = position
    let end: number | undefined
    for (let length = 1; ; ) {
      const octet = this.#octets[position]
      if (octet === undefined) throw new MalformedMessageError('a name runs out')
      if (octet >= 0xc0) {
        const target = ((octet & 0x3f) << 8) | (this.#octets[position + 1] ?? 0)
        end ??= position + 2
        if (target >= limit) throw new MalformedMessageError('a pointer does not point back')
        limit = target
        position = target
        continue
      }
      if (octet > 63) throw new MalformedMessageError('a label of unknown kind')
      length += octet + 1
      if (length > 256 || position + 1 + octet > this.#octets.length) throw new MalformedMessageError('a name too long')
      if (octet === 0) break
      labels.push(this.#octets.toString('latin1', position + 1, position + 1 + octet).toLowerCase())
      position += octet + 1
    }
    this.offset = end ?? position + 1
    this.#need(0)
    return labels.join('.')
  }

  record(): WireRecord {
    const name = this.name()
    const type = this.uint16()
    const rclass = this.uint16()
    const ttlSeconds = this.uint32()
    const length = this.uint16()
    this.#need(length)
    const start = this.offset
    let data = Buffer.from(this.#octets.subarray(start, start + length))
    if (type === TYPE.CNAME && length > 0) data = encodeDecodedName(this.name())
    this.offset = start + length
    return { name, type, class: rclass, ttlSeconds, data }
  }

  #need(count: number): void {
    if (this.offset + count > this.#octets.length) throw new MalformedMessageError('it is cut off')
  }
}

function encodeDecodedName(name: string): Buffer<ArrayBuffer> {
  try {
    return Buffer.from(encodeName(name))
  } catch {
    // A label with a dot in it: legal, and nothing that we ever write.
    throw new MalformedMessageError('a name that has no text form')
  }
}
