import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ResponseReader } from './response-reader.ts'

const RESPONSES = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}' +
    'HTTP/1.1 429 Too Many Requests\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n' +
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
)

test('finds every response, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: RESPONSES.length }), { maxLength: 12 }), (cuts) => {
      const statuses: number[] = []
      const reader = new ResponseReader((status) => statuses.push(status))
      const edges = [0, ...cuts.toSorted((a, b) => a - b), RESPONSES.length]
      for (let i = 1; i < edges.length; i++) reader.push(RESPONSES.subarray(edges[i - 1], edges[i]))
      expect(statuses).toEqual([200, 429, 204])
    }),
  )
})
