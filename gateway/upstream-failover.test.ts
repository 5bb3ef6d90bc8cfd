import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Upstream, UpstreamFault, type UpstreamFaultKind, type UpstreamHandler } from './upstream.ts'
import { FailoverUpstream } from './upstream-failover.ts'

type Taken = { body: string; bytes: number }

/** An upstream that reads `readBytes` of a body and then fails, or answers when it has all of it. */
function scripted(how: UpstreamFaultKind | 'answers', readBytes = 0): Upstream & { taken: Taken[] } {
  const taken: Taken[] = []
  return {
    origin: 'http://x',
    taken,
    close: async () => {},
    send(request, handler) {
      const one = { body: '', bytes: 0 }
      taken.push(one)
      const fail = (kind: UpstreamFaultKind) => handler.onError(new UpstreamFault(kind, undefined))
      const answer = () => {
        if (how !== 'answers') return
        handler.onHead(200, [])
        handler.onEnd([])
      }
      const { body } = request
      if (body === null || (how !== 'answers' && readBytes === 0)) {
        if (how === 'answers') queueMicrotask(answer)
        else fail(how)
        return { abort() {}, pause() {}, resume() {} }
      }
      body.on('data', (chunk: Buffer) => {
        one.body += chunk.toString('latin1')
        one.bytes += chunk.length
        handler.onBodySent?.(chunk.length)
        if (how === 'answers' || one.bytes < readBytes) return
        body.destroy()
        fail(how)
      })
      body.on('end', answer)
      body.on('error', () => fail('client'))
      return { abort() {}, pause() {}, resume() {} }
    },
  }
}

type Outcome = { result: number | UpstreamFaultKind; sent: number }

function ask(upstreams: readonly Upstream[], body: Readable | null): Promise<Outcome> {
  const [first, ...others] = upstreams
  if (first === undefined) throw new Error('No upstream')
  const failover = new FailoverUpstream(first, (tried) => others.find((other) => !tried.has(other)))
  return new Promise((resolve) => {
    let sent = 0
    const handler: UpstreamHandler = {
      onHead: (status) => resolve({ result: status, sent }),
      onData() {},
      onBodySent: (bytes) => (sent += bytes),
      onEnd() {},
      onError: (fault) => resolve({ result: fault.kind, sent }),
    }
    failover.send({ method: 'POST', target: '/', headers: [], body }, handler)
  })
}

/** A body that comes in pieces. */
function pieces(text: string, size: number): Readable {
  const parts = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
  return Readable.from(parts.map((part) => Buffer.from(part, 'latin1')))
}

test('a request that nobody took goes to the next address, and to each one once', async () => {
  const away = [scripted('connect'), scripted('connect')]
  const there = scripted('answers')
  expect(await ask([...away, there], null)).toMatchObject({ result: 200 })
  expect([...away, there].map((upstream) => upstream.taken.length)).toEqual([1, 1, 1])
  expect(await ask(away, null)).toMatchObject({ result: 'connect' })
})

test('a body whose beginning was read by an address that then refused it comes to the next one whole, and counts once', async () => {
  const text = randomBytes(40_000).toString('hex')
  const there = scripted('answers')
  const outcome = await ask([scripted('connect', 30_000), scripted('connect', 70_000), there], pieces(text, 10_000))
  expect(outcome).toEqual({ result: 200, sent: text.length })
  expect(there.taken[0]?.body).toBe(text)
})

test('a body of which more was read than is remembered is not begun anew', async () => {
  const there = scripted('answers')
  const text = randomBytes(300_000).toString('hex')
  expect(await ask([scripted('connect', 500_000), there], pieces(text, 64_000))).toMatchObject({ result: 'connect' })
  expect(there.taken).toEqual([])
})

test.each(['broken', 'timeout', 'client'] as const)(
  'what may have been taken is never asked twice: %s',
  async (kind) => {
    const there = scripted('answers')
    expect(await ask([scripted(kind), there], null)).toMatchObject({ result: kind })
    expect(await ask([scripted(kind, 10), there], pieces('a body that is sent', 4))).toMatchObject({ result: kind })
    expect(there.taken).toEqual([])
  },
)

test('a large body goes through at the pace of the upstream, and one that nobody wants any more is let go', async () => {
  const text = randomBytes(2_000_000).toString('hex')
  const there = scripted('answers')
  expect(await ask([there], pieces(text, 64_000))).toEqual({ result: 200, sent: text.length })
  expect(there.taken[0]?.body).toBe(text)
  const body = pieces(text, 64_000)
  expect(await ask([scripted('broken', 100_000)], body)).toMatchObject({ result: 'broken' })
  await turn()
  expect(body.destroyed).toBe(true)
})

test("a client's body that breaks off fails its request", async () => {
  const body = new Readable({ read() {} })
  body.push('half')
  setTimeout(() => body.destroy(new Error('gone')), 20)
  expect(await ask([scripted('answers'), scripted('answers')], body)).toMatchObject({ result: 'client' })
})
