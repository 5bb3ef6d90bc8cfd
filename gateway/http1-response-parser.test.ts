import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Http1ResponseParser, type ResponseListener, ResponseSyntaxError } from './http1-response-parser.ts'

type Parsed = { status: number; headers: string[]; body: string; trailers: string[]; isOver: boolean }

class Collector implements ResponseListener {
  readonly answers: Parsed[] = []
  isForHead(): boolean {
    return false
  }
  onInformation(): void {}
  onHead(status: number, headers: string[]): void {
    this.answers.push({ status, headers, body: '', trailers: [], isOver: false })
  }
  onData(chunk: Buffer): void {
    const last = this.answers.at(-1)
    if (last !== undefined) last.body += chunk.toString('latin1')
  }
  onComplete(trailers: string[]): void {
    const last = this.answers.at(-1)
    if (last !== undefined) Object.assign(last, { trailers, isOver: true })
  }
}

const token = fc.string({ unit: fc.constantFrom(...'abcXYZ-09'), minLength: 1, maxLength: 12 })
const value = fc.string({ unit: fc.constantFrom(...'abc XYZ;=,"/\t'), maxLength: 30 }).map((text) => text.trim())
const answer = fc.record({
  status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
  fields: fc.array(
    fc.tuple(
      token.map((name) => `X-${name}`),
      value,
    ),
    { maxLength: 5 },
  ),
  chunks: fc.array(fc.string({ unit: fc.constantFrom(...'ab\r\n0;:'), minLength: 1, maxLength: 60 }), { maxLength: 4 }),
  isChunked: fc.boolean(),
})

type Written = { status: number; fields: [string, string][]; chunks: string[]; isChunked: boolean }

function write({ status, fields, chunks, isChunked }: Written): string {
  const lines = fields.map(([name, text]) => `${name}: ${text}\r\n`).join('')
  const body = chunks.join('')
  if (!isChunked) return `HTTP/1.1 ${status} Fine\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`
  const framed = chunks.map((chunk) => `${chunk.length.toString(16)};x\r\n${chunk}\r\n`).join('')
  return `HTTP/1.1 ${status} Fine\r\n${lines}Transfer-Encoding: chunked\r\n\r\n${framed}0\r\nX-End: 1\r\n\r\n`
}

function feedInPieces(bytes: Buffer, sizes: readonly number[]): Parsed[] {
  const collector = new Collector()
  const parser = new Http1ResponseParser(collector)
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const next = at + (sizes[i % sizes.length] ?? 1)
    parser.feed(bytes.subarray(at, next))
    at = next
  }
  return collector.answers
}

test('answers are read back as they were written, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(answer, { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }),
      (answers, sizes) => {
        const parsed = feedInPieces(Buffer.from(answers.map(write).join(''), 'latin1'), sizes)
        expect(parsed.map(({ status, body, isOver }) => ({ status, body, isOver }))).toEqual(
          answers.map(({ status, chunks }) => ({ status, body: chunks.join(''), isOver: true })),
        )
        parsed.forEach(({ headers, trailers }, i) => {
          expect(headers.slice(0, -2)).toEqual(answers[i]?.fields.flat())
          if (answers[i]?.isChunked === true) expect(trailers).toEqual(['X-End', '1'])
        })
      },
    ),
    { numRuns: 300 },
  )
})

test('whatever bytes come, it reads them or refuses them, and never hangs or throws anything else', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    fc.tuple(answer, fc.nat(300), fc.integer({ min: 0, max: 255 })).map(([written, at, byte]) => {
      const text = Buffer.from(write(written), 'latin1')
      text[at % text.length] = byte
      return text
    }),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      try {
        feedInPieces(input, [7])
      } catch (fault) {
        expect(fault).toBeInstanceOf(ResponseSyntaxError)
      }
    }),
    { numRuns: 1_000 },
  )
})
