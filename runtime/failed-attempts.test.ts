import { expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { FailedAttempts } from './failed-attempts.ts'
import { Problem } from './problem.ts'

const refusal = new Problem(401, 'wrong')
let held = 0
const make = (max: number, clock = new ManualClock()) =>
  new FailedAttempts(max, clock, async () => {
    held++
  })
const refuse = (failed: FailedAttempts, address: string): Promise<Problem> =>
  failed.refuse(address, refusal).catch((fault: Problem) => fault)

test('past its limit an address is answered late and with 429 until its minute is over, and no other address with it', async () => {
  const clock = new ManualClock()
  const failed = make(3, clock)
  held = 0
  for (let i = 0; i < 3; i++) expect(await refuse(failed, '192.0.2.1')).toBe(refusal)
  expect(held).toBe(0)
  clock.advance(20_000)
  expect(await refuse(failed, '192.0.2.1')).toMatchObject({
    status: 429,
    code: 'too_many_failed_keys',
    headers: { 'Retry-After': '40' },
  })
  expect(held).toBe(1)
  expect(await refuse(failed, '192.0.2.2')).toBe(refusal)
  clock.advance(40_000)
  expect(await refuse(failed, '192.0.2.1')).toBe(refusal)
})

test('all addresses of an IPv6 /64 count as one', async () => {
  const failed = make(2)
  await refuse(failed, '2001:db8::1')
  await refuse(failed, '2001:0DB8:0:0:ffff::2')
  expect(await refuse(failed, '2001:db8:0:0:1:2:3:4')).toMatchObject({ status: 429 })
  expect(await refuse(failed, '2001:db8:0:1::1')).toBe(refusal)
})

test('however many addresses fail, only so many are remembered, and only so many answers are held back', async () => {
  const failed = make(1)
  for (let i = 0; i < 30_000; i++) await refuse(failed, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  expect(await refuse(failed, '10.0.0.0')).toBe(refusal)
  expect(await refuse(failed, '10.0.117.47')).toMatchObject({ status: 429 })
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  let waiting = 0
  const flooded = new FailedAttempts(1, new ManualClock(), () => {
    waiting++
    return gate
  })
  await refuse(flooded, '192.0.2.1')
  const answers = Array.from({ length: 3_000 }, () => refuse(flooded, '192.0.2.1'))
  expect(await answers.at(-1)).toMatchObject({ status: 429 })
  expect(waiting).toBe(1_000)
  release()
  await Promise.all(answers)
})

test('with a limit of 0 nobody is slowed', async () => {
  const failed = make(0)
  for (let i = 0; i < 1_000; i++) expect(await refuse(failed, '192.0.2.1')).toBe(refusal)
})
