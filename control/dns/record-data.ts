import { isIPv4, isIPv6 } from 'node:net'
import { normaliseValue, type RecordType } from './dns-driver.ts'
import { decodeMessage, encodeMessage, encodeName, MalformedMessageError, TYPE } from './dns-message.ts'

/** The RDATA of a value. @throws RangeError when the value does not fit the type. */
export function encodeData(type: RecordType, value: string): Buffer {
  if (type === 'CNAME') return encodeName(value)
  if (type === 'TXT') {
    const octets = Buffer.from(value, 'utf8')
    const strings: Buffer[] = []
    for (let start = 0; start === 0 || start < octets.length; start += 255) {
      const part = octets.subarray(start, start + 255)
      strings.push(Buffer.from([part.length]), part)
    }
    return Buffer.concat(strings)
  }
  if (type === 'A' && isIPv4(value)) return Buffer.from(value.split('.').map(Number))
  if (type === 'AAAA' && isIPv6(value)) return encodeIpv6(normaliseValue('AAAA', value))
  throw new RangeError(`Not an address for ${type}`)
}

/** The value of RDATA. @throws MalformedMessageError */
export function decodeData(type: RecordType, data: Buffer): string {
  if (type === 'A' && data.length === 4) return [...data].join('.')
  if (type === 'AAAA' && data.length === 16) {
    const groups = Array.from({ length: 8 }, (_, i) => data.readUInt16BE(i * 2).toString(16))
    return normaliseValue('AAAA', groups.join(':'))
  }
  if (type === 'CNAME') return decodeName(data)
  if (type === 'TXT') {
    const strings: Buffer[] = []
    for (let start = 0; start < data.length; start += (data[start] ?? 0) + 1) {
      const end = start + 1 + (data[start] ?? 0)
      if (end > data.length) throw new MalformedMessageError('a text runs out')
      strings.push(data.subarray(start + 1, end))
    }
    return Buffer.concat(strings).toString('utf8')
  }
  throw new MalformedMessageError(`no data of type ${type}`)
}

/** The number of a type on the wire. */
export function typeNumber(type: RecordType): number {
  return TYPE[type]
}

/** The type with this number, where it is one of ours. */
export function typeOfNumber(number: number): RecordType | undefined {
  return (['A', 'AAAA', 'CNAME', 'TXT'] as const).find((type) => TYPE[type] === number)
}

function decodeName(data: Buffer): string {
  const question = Buffer.concat([
    encodeMessage({ id: 0, opcode: 0, questions: [] }).fill(1, 5, 6),
    data,
    Buffer.from([0, TYPE.ANY, 0, 1]),
  ])
  return decodeMessage(question).questions[0]?.name ?? ''
}

/** @param text in canonical form (RFC 5952), where `::` stands for at least one group of zeros. */
function encodeIpv6(text: string): Buffer {
  const [head = '', tail] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const octets = Buffer.alloc(16)
  for (const [i, group] of [...before, ...zeros, ...after].entries())
    octets.writeUInt16BE(Number.parseInt(group, 16), i * 2)
  return octets
}
