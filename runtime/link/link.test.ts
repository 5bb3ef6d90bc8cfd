import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { ServiceTokenCodec } from '../service-token.ts'
import { FrameReader, FrameType, FrameWriter, INITIAL_WINDOW_BYTES, readHead } from './frames.ts'
import { LinkClient } from './link-client.ts'
import { type LinkHandler, type ServedLink, serveLink } from './link-server.ts'
import { acceptLink, asksForLink, dialLink } from './upgrade.ts'

const codec = new ServiceTokenCodec('s'.repeat(32))
const clientOf = (port: number, tokens: ServiceTokenCodec) =>
  new LinkClient((onOpen) => dialLink(`http://127.0.0.1:${port}`, () => tokens.sign('gateway', Date.now()), onOpen))

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function start(
  handler: LinkHandler,
): Promise<{ client: LinkClient; sockets: Set<Socket>; links: ServedLink[]; server: Server }> {
  const sockets = new Set<Socket>()
  const links: ServedLink[] = []
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on('upgrade', (request: IncomingMessage, socket: Socket, rest: Buffer) => {
    if (!asksForLink(request) || !acceptLink(request, socket, codec, Date.now())) return
    sockets.add(socket)
    links.push(serveLink(socket, handler, rest))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const client = clientOf(port, codec)
  closers.push(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { client, sockets, links, server }
}

type Result = { status: number; headers: string[]; body: Buffer }

/** Sends a request with a whole body and reads the whole answer. */
function call(client: LinkClient, head: string[], body = Buffer.alloc(0)): Promise<Result> {
  return new Promise((resolve, reject) => {
    const result: Result = { status: 0, headers: [], body: Buffer.alloc(0) }
    const chunks: Buffer[] = []
    const side = client.request(head, {
      onHead: (status, headers) => Object.assign(result, { status, headers }),
      onData: (bytes) => {
        chunks.push(bytes)
        side.consumed(bytes.length)
      },
      onEnd: () => resolve({ ...result, body: Buffer.concat(chunks) }),
      onReset: reject,
      onDrain: () => {},
    })
    side.end(body)
  })
}

/** Answers with what it was sent. */
const echo: LinkHandler = ({ method, path, headers, respond, side }) => {
  respond(200, ['x-method', method, 'x-path', path, ...headers])
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

test('frames are read as they were written, however the bytes are split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ stream: fc.nat(1_000), bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }) }), {
        maxLength: 20,
      }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (frames, cuts) => {
        const chunks: Buffer[] = []
        const writer = new FrameWriter((bytes) => chunks.push(bytes))
        for (const frame of frames) writer.data(frame.stream, frame.bytes)
        writer.flush()
        const wire = Buffer.concat(chunks)
        const seen: { stream: number; bytes: Uint8Array }[] = []
        const reader = new FrameReader((type, stream, payload) => {
          expect(type).toBe(FrameType.data)
          seen.push({ stream, bytes: new Uint8Array(payload) })
        })
        for (let at = 0, i = 0; at < wire.length; i++) {
          const size = cuts[i % cuts.length] ?? 1
          reader.push(wire.subarray(at, at + size))
          at += size
        }
        expect(seen).toEqual(frames.map(({ stream, bytes }) => ({ stream, bytes: new Uint8Array(bytes) })))
      },
    ),
  )
})

test('a head keeps every latin-1 member, also empty ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)) }), {
        minLength: 1,
      }),
      (members) => {
        let wire: Buffer = Buffer.alloc(0)
        const writer = new FrameWriter((bytes) => {
          wire = bytes
        })
        writer.head(1, members)
        writer.flush()
        new FrameReader((_type, _stream, payload) => expect(readHead(payload)).toEqual(members)).push(wire)
      },
    ),
  )
})

test('many requests share one connection and each gets its own answer', async () => {
  const { client, sockets } = await start(echo)
  const results = await Promise.all(
    Array.from({ length: 500 }, (_, i) => call(client, ['POST', `/${i}`, 'x-n', String(i)], Buffer.from(`body ${i}`))),
  )
  for (const [i, result] of results.entries()) {
    expect(result.status).toBe(200)
    expect(result.headers).toEqual(['x-method', 'POST', 'x-path', `/${i}`, 'x-n', String(i)])
    expect(result.body.toString()).toBe(`body ${i}`)
  }
  expect(sockets.size).toBe(1)
  expect(client.inFlight).toBe(0)
})

test('a body far beyond the window goes through whole, both ways', async () => {
  const { client } = await start(echo)
  const body = Buffer.alloc(INITIAL_WINDOW_BYTES * 9 + 17, 'abcdefg')
  const result = await call(client, ['POST', '/'], body)
  expect(result.body.equals(body)).toBe(true)
})

test('a reader that takes nothing stops its own stream within the window, and no other', async () => {
  let slowBytes = 0
  const { client } = await start((request) => {
    if (request.path === '/quick') return echo(request)
    request.respond(200, [])
    const piece = Buffer.alloc(16 * 1024)
    for (let i = 0; i < 64; i++) request.side.write(piece)
    return { onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {} }
  })
  const side = client.request(['GET', '/slow'], {
    onHead: () => {},
    onData: (bytes) => {
      slowBytes += bytes.length
    },
    onEnd: () => {},
    onReset: () => {},
    onDrain: () => {},
  })
  side.end()
  for (let i = 0; i < 5; i++) expect((await call(client, ['GET', '/quick'])).status).toBe(200)
  expect(slowBytes).toBe(INITIAL_WINDOW_BYTES)
  side.reset()
})

test('a request that is given up reaches the server as such, and its late answer is for nobody', async () => {
  const reset = Promise.withResolvers<void>()
  const { client } = await start(({ respond, side }) => ({
    onData: () => {},
    onEnd: () => {},
    onReset: () => {
      respond(200, [])
      side.end(Buffer.from('late'))
      reset.resolve()
    },
    onDrain: () => {},
  }))
  const side = client.request(['GET', '/'], {
    onHead: () => {
      throw new Error('unexpected')
    },
    onData: () => {},
    onEnd: () => {},
    onReset: () => {},
    onDrain: () => {},
  })
  side.end()
  setImmediate(() => side.reset())
  await reset.promise
  expect(client.inFlight).toBe(0)
})

test('when the connection is lost every request hears of it, and the next one dials again', async () => {
  let answer = false
  const { client, sockets } = await start((request) =>
    answer ? echo(request) : { onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {} },
  )
  const lost = Promise.allSettled([call(client, ['GET', '/1']), call(client, ['GET', '/2'])])
  await expect.poll(() => sockets.size).toBe(1)
  await new Promise((resolve) => setImmediate(resolve))
  for (const socket of sockets) socket.destroy()
  expect((await lost).map((result) => result.status)).toEqual(['rejected', 'rejected'])
  answer = true
  expect((await call(client, ['GET', '/3'])).status).toBe(200)
})

test('a server that cannot be reached never got a byte', async () => {
  const { client, server } = await start(echo)
  server.close()
  await expect(call(client, ['GET', '/'])).rejects.toMatchObject({ name: 'LinkLostError', neverSent: true })
})

test('a server that drains ends what it has, and refuses the rest as never taken', async () => {
  const finish = Promise.withResolvers<void>()
  const { client, links } = await start((request) => {
    if (request.path !== '/slow') return echo(request)
    void finish.promise.then(() => {
      request.respond(200, [])
      request.side.end()
    })
    return { onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: () => {} }
  })
  const slow = call(client, ['GET', '/slow'])
  await expect.poll(() => links.length).toBe(1)
  await call(client, ['GET', '/quick'])
  const drained = links[0]?.drain()
  await expect(call(client, ['GET', '/late'])).rejects.toMatchObject({ neverSent: true })
  finish.resolve()
  expect((await slow).status).toBe(200)
  await drained
  expect((await call(client, ['GET', '/anew'])).status).toBe(200)
})

test('what reaches a server after its last frame was never taken, and may be sent elsewhere', async () => {
  for (let i = 0; i < 20; i++) {
    let isTaken = false
    const { client, links } = await start((request) => {
      if (request.path === '/late') isTaken = true
      return echo(request)
    })
    await call(client, ['GET', '/first'])
    // Both leave in the same turn: neither side has heard of the other's.
    const drained = links[0]?.drain()
    await expect(call(client, ['POST', '/late'])).rejects.toMatchObject({ name: 'LinkLostError', neverSent: true })
    expect(isTaken).toBe(false)
    await drained
  }
})

test('a caller that is no service of ours gets no link', async () => {
  const { server, sockets } = await start(echo)
  const address = server.address()
  const stranger = clientOf(
    typeof address === 'object' && address !== null ? address.port : 0,
    new ServiceTokenCodec('x'.repeat(32)),
  )
  await expect(call(stranger, ['GET', '/'])).rejects.toMatchObject({ name: 'LinkLostError', neverSent: true })
  expect(sockets.size).toBe(0)
  stranger.close()
})

test('hostile bytes end the connection and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const { client, server } = await start(echo)
      const address = server.address()
      const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
      socket.on('error', () => {})
      const token = codec.sign('gateway', Date.now())
      socket.write(
        `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: aerodb-link/1\r\nx-aerodb-service: ${token}\r\n\r\n`,
      )
      socket.write(bytes)
      expect((await call(client, ['GET', '/'])).status).toBe(200)
      socket.destroy()
    }),
    { numRuns: 20 },
  )
})
