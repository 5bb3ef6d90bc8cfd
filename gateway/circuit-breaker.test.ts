import { expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { type Upstream, UpstreamFault, type UpstreamFaultKind, type UpstreamHandler } from './upstream.ts'

/** An upstream that does as the test says. */
function scripted(): { upstream: Upstream; asked: () => number; behave: (how: UpstreamFaultKind | 200 | 500) => void } {
  let count = 0
  let behaviour: UpstreamFaultKind | 200 | 500 = 200
  const send = (_request: unknown, handler: UpstreamHandler) => {
    count++
    if (typeof behaviour === 'number') {
      handler.onHead(behaviour, [])
      handler.onEnd([])
    } else handler.onError(new UpstreamFault(behaviour, undefined))
    return { abort() {}, pause() {}, resume() {} }
  }
  return {
    upstream: { origin: 'http://x', send, close: async () => {} },
    asked: () => count,
    behave: (how) => {
      behaviour = how
    },
  }
}

function ask(breaker: CircuitBreaker): Promise<number | UpstreamFaultKind> {
  return new Promise((resolve) => {
    breaker.send(
      { method: 'GET', target: '/', headers: [], body: null },
      { onHead: resolve, onData() {}, onEnd() {}, onError: (fault) => resolve(fault.kind) },
    )
  })
}

test('after some failures in a row an upstream is left alone; then one request tries it', async () => {
  const clock = new ManualClock()
  const { upstream, asked, behave } = scripted()
  const breaker = new CircuitBreaker(upstream, clock)
  behave('connect')
  for (let i = 0; i < 20; i++) expect(await ask(breaker)).toBe('connect')
  expect(asked()).toBe(5)
  expect(breaker.isAvailable).toBe(false)
  clock.advance(500)
  expect(breaker.isAvailable).toBe(true)
  expect(await ask(breaker)).toBe('connect')
  expect(asked()).toBe(6)
  clock.advance(500)
  expect(breaker.isAvailable).toBe(false)
  behave(200)
  clock.advance(500)
  expect(await ask(breaker)).toBe(200)
  expect(await ask(breaker)).toBe(200)
})

test('answers with an error status, and connections that break, do not count', async () => {
  const { upstream, asked, behave } = scripted()
  const breaker = new CircuitBreaker(upstream, new ManualClock())
  behave(500)
  for (let i = 0; i < 10; i++) await ask(breaker)
  behave('broken')
  for (let i = 0; i < 10; i++) await ask(breaker)
  expect(asked()).toBe(20)
  expect(breaker.isAvailable).toBe(true)
})
