import { expect, test } from 'vitest'
import { readablePer, readableQuantity } from './readable-quantity.ts'

test('bytes read as GB, byte-hours as GB-hours, seconds of compute as hours; what is counted stays', () => {
  expect(readableQuantity(64_000_000_000, 'bytes')).toBe('64 GB')
  expect(readableQuantity(11_520_000_000_000, 'byte-hours')).toBe('11,520 GB-hours')
  expect(readableQuantity(684_000, 'seconds')).toBe('190 hours')
  expect(readableQuantity(3_600, 'seconds')).toBe('1 hour')
  expect(readableQuantity(812_345, 'requests')).toBe('812,345 requests')
  expect([readablePer(1_000, 'requests'), readablePer(1e9, 'bytes'), readablePer(730e9, 'byte-hours')]).toEqual([
    '1,000',
    '1 GB',
    '730 GB-hours',
  ])
})

test('nothing that was used reads as 0', () => {
  expect(readableQuantity(12_345, 'bytes')).toBe('12,345 bytes')
  expect(readableQuantity(0, 'bytes')).toBe('0 GB')
})
