import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readBytes, readMoney, readQuota, readSeconds } from './read-quantity.ts'

test('bytes with decimal units are exact, and what is no whole amount is refused', () => {
  expect(readBytes('1.5GB')).toBe(1_500_000_000)
  expect(readBytes('500MB')).toBe(500_000_000)
  expect(readBytes('0')).toBe(0)
  for (const text of ['', '-1', '1.5', '1e9', '1GiB', '0x10', 'constructor', '1 constructor', '9999999999999999'])
    expect(() => readBytes(text), text).toThrow()
  fc.assert(
    fc.property(fc.nat(999_999), fc.nat(999), (whole, thousandths) => {
      const text = `${whole}.${String(thousandths).padStart(3, '0')}MB`
      expect(readBytes(text)).toBe(whole * 1_000_000 + thousandths * 1_000)
    }),
  )
})

test('money is exact to its millionth', () => {
  expect([readMoney('12.50'), readMoney('0.000001'), readMoney('49')]).toEqual([12_500_000, 1, 49_000_000])
  for (const text of ['', '-1', '1,50', '0.0000001', '$5']) expect(() => readMoney(text), text).toThrow()
})

test('no text makes an amount that is not a whole number from 0 up', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const read of [readBytes, readMoney, readSeconds]) {
        let amount = 0
        try {
          amount = read(text)
        } catch {}
        expect(Number.isSafeInteger(amount) && amount >= 0).toBe(true)
      }
    }),
  )
})

test('quotas add up over their options; `plan` is the merge patch null', () => {
  const first = readQuota('storage_bytes=2GB')
  expect(readQuota('requests_per_second=plan', first)).toEqual({ storage_bytes: 2e9, requests_per_second: null })
  for (const text of ['storage_bytes', 'storage_bytes=', 'toString=1', 'requests_per_second=0'])
    expect(() => readQuota(text), text).toThrow()
})
