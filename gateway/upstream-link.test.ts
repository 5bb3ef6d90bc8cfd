import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { type LinkHandler, type ServedLink, serveLink } from '../runtime/link/link-server.ts'
import { acceptLink } from '../runtime/link/upgrade.ts'
import { ServiceTokenCodec } from '../runtime/service-token.ts'
import type { Upstream, UpstreamRequest } from './upstream.ts'
import { LinkUpstream } from './upstream-link.ts'

const codec = new ServiceTokenCodec('s'.repeat(32))
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function start(handler: LinkHandler): Promise<{ upstream: Upstream; links: ServedLink[]; stop: () => void }> {
  const links: ServedLink[] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('upgrade', (request: IncomingMessage, socket: Socket, rest: Buffer) => {
    sockets.add(socket)
    if (acceptLink(request, socket, codec, Date.now())) links.push(serveLink(socket, handler, rest))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const upstream = new LinkUpstream(`http://127.0.0.1:${port}`, {
    token: () => codec.sign('gateway', Date.now()),
    connections: 1,
  })
  const stop = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  closers.push(async () => stop())
  closers.push(() => upstream.close())
  return { upstream, links, stop }
}

type Seen = { status: number; headers: readonly string[]; body: string; fault?: unknown }

function send(upstream: Upstream, request: Partial<UpstreamRequest> = {}): Promise<Seen> {
  return new Promise((resolve) => {
    const seen: Seen = { status: 0, headers: [], body: '' }
    upstream.send(
      { method: 'GET', target: '/rest/v1/todos?select=a', headers: ['accept', '*/*'], body: null, ...request },
      {
        onHead: (status, headers) => Object.assign(seen, { status, headers }),
        onData: (chunk) => {
          seen.body += chunk.toString('latin1')
        },
        onEnd: () => resolve(seen),
        onError: (fault) => resolve({ ...seen, fault }),
      },
    )
  })
}

const echo: LinkHandler = ({ method, path, headers, respond, side }) => {
  respond(200, ['x-was', `${method} ${path} ${headers.join()}`])
  return {
    onData: (bytes) => {
      side.write(bytes)
      side.consumed(bytes.length)
    },
    onEnd: () => side.end(),
    onReset: () => {},
    onDrain: () => {},
  }
}

const silent = { onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {} }

test('head and body go through as they are, both ways', async () => {
  const { upstream } = await start(echo)
  expect(await send(upstream)).toEqual({
    status: 200,
    headers: ['x-was', 'GET /rest/v1/todos?select=a accept,*/*'],
    body: '',
  })
  const body = 'x'.repeat(1_000_000)
  expect(
    (await send(upstream, { method: 'POST', body: Readable.from([Buffer.from(body)], { objectMode: false }) })).body,
  ).toBe(body)
})

test('nothing is delivered while the client is slow, and everything afterwards', async () => {
  const { upstream } = await start(echo)
  const chunks: number[] = []
  let isPaused = false
  await new Promise<void>((resolve) => {
    const call = upstream.send(
      { method: 'POST', target: '/', headers: [], body: Readable.from([Buffer.alloc(900_000)], { objectMode: false }) },
      {
        onHead: () => {},
        onData: (chunk) => {
          expect(isPaused).toBe(false)
          chunks.push(chunk.length)
          call.pause()
          isPaused = true
          setImmediate(() => {
            isPaused = false
            call.resume()
          })
        },
        onEnd: () => resolve(),
        onError: () => resolve(),
      },
    )
  })
  expect(chunks.reduce((sum, bytes) => sum + bytes, 0)).toBe(900_000)
})

test('a client that is gone is told to the backend', async () => {
  const reset = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const { upstream } = await start(() => {
    arrived.resolve()
    return { ...silent, onReset: () => reset.resolve() }
  })
  const call = upstream.send(
    { method: 'GET', target: '/', headers: [], body: null },
    { onHead: () => {}, onData: () => {}, onEnd: () => {}, onError: () => {} },
  )
  await arrived.promise
  call.abort()
  await reset.promise
})

test('a backend that breaks off is broken; one that cannot be reached never got a byte', async () => {
  const arrived = Promise.withResolvers<void>()
  const { upstream, stop } = await start(() => {
    arrived.resolve()
    return silent
  })
  const broken = send(upstream)
  await arrived.promise
  stop()
  expect((await broken).fault).toMatchObject({ kind: 'broken' })
  expect((await send(upstream)).fault).toMatchObject({ kind: 'connect' })
})

test('a request that a draining backend refused goes to its successor', async () => {
  const release = Promise.withResolvers<void>()
  const { upstream, links } = await start((request) => {
    if (request.path !== '/hold') return echo(request)
    void release.promise.then(() => echo(request).onEnd())
    return silent
  })
  const held = send(upstream, { target: '/hold' })
  await expect.poll(() => links.length).toBe(1)
  await send(upstream)
  void links[0]?.drain()
  expect((await send(upstream)).status).toBe(200)
  expect(links.length).toBe(2)
  release.resolve()
  expect((await held).status).toBe(200)
})
