import { expect, test } from 'vitest'
import { ServiceTokenCodec } from './service-token.ts'

const codec = new ServiceTokenCodec('s'.repeat(32))

test('a token names its service for a minute', () => {
  const token = codec.sign('gateway', 1_000_000)
  expect(codec.verify(token, 1_000_000 + 60_000)).toBe('gateway')
  expect(codec.verify(token, 1_000_000 + 60_001)).toBeUndefined()
})

test('a token that is missing, changed or signed by somebody else names nobody', () => {
  const token = codec.sign('gateway', 0)
  expect(codec.verify(undefined, 0)).toBeUndefined()
  expect(codec.verify('', 0)).toBeUndefined()
  expect(codec.verify(token.replace('gateway', 'control'), 0)).toBeUndefined()
  expect(new ServiceTokenCodec('t'.repeat(32)).verify(token, 0)).toBeUndefined()
})
