import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import type { Exchange } from './exchange.ts'
import { needsNoKey } from './keyless.ts'

const ask = (method: string, path: string, headers: IncomingMessage['headers'] = {}) =>
  needsNoKey({ method, path, request: { headers } } as Exchange)

test.each([
  ['GET', '/storage/v1/object/public/pictures/a.png'],
  ['HEAD', '/storage/v1/object/info/public/pictures/a.png'],
  ['GET', '/storage/v1/object/sign/pictures/a.png'],
  ['PUT', '/storage/v1/object/upload/sign/pictures/a.png'],
  ['GET', '/storage/v1/render/image/public/pictures/a.png'],
])('%s %s needs no key: it is public, or the storage API verifies its token', (method, path) => {
  expect(ask(method, path)).toBe(true)
})

test.each([
  ['POST', '/storage/v1/object/sign/pictures/a.png'],
  ['DELETE', '/storage/v1/object/public/pictures/a.png'],
  ['GET', '/storage/v1/object/pictures/public/a.png'],
  ['GET', '/storage/v1/object/publicity/a.png'],
  ['POST', '/storage/v1/object/upload/sign/pictures/a.png'],
  ['GET', '/rest/v1/storage/v1/object/public/a'],
  ['GET', '/storage/v1/bucket'],
])('%s %s needs one', (method, path) => {
  expect(ask(method, path)).toBe(false)
})

test('a resumable upload needs none only with its signature', () => {
  expect(ask('PATCH', '/storage/v1/upload/resumable/sign/abc', { 'x-signature': 'x' })).toBe(true)
  expect(ask('PATCH', '/storage/v1/upload/resumable/sign/abc')).toBe(false)
  expect(ask('PATCH', '/storage/v1/upload/resumable/abc', { 'x-signature': 'x' })).toBe(false)
})
