import { createServer, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamHandler, UpstreamRequest } from '../upstream.ts'
import { StubUpstream } from './stub-upstream.ts'

type Collected = {
  status: number
  headers: Record<string, string>
  body: string
  trailers: string[]
  informed: number[]
  fault: UpstreamFault | undefined
}

/** What every `Upstream` promises, whatever its transport. */
export function describeUpstream(connect: (origin: string) => Upstream): void {
  const stubs: StubUpstream[] = []
  const servers: { server: Server; sockets: Set<Socket> }[] = []
  const upstreams: Upstream[] = []

  afterEach(async () => {
    for (const stub of stubs.splice(0)) await stub.stop()
    for (const { server, sockets } of servers.splice(0)) {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.close()))
  })

  async function stubbed(answer?: StubUpstream['answer']): Promise<{ stub: StubUpstream; upstream: Upstream }> {
    const stub = new StubUpstream()
    if (answer !== undefined) stub.answer = answer
    stubs.push(stub)
    const upstream = connect(await stub.start())
    upstreams.push(upstream)
    return { stub, upstream }
  }

  /** A server that answers each request head with the given bytes. */
  async function raw(answer: (socket: Socket, head: string) => void): Promise<Upstream> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const head = text.slice(0, end)
          text = text.slice(end + 4)
          answer(socket, head)
        }
      })
    })
    servers.push({ server, sockets })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    const upstream = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
    upstreams.push(upstream)
    return upstream
  }

  const get = (target: string, headers: string[] = []): UpstreamRequest => ({
    method: 'GET',
    target,
    headers,
    body: null,
  })

  function collect(
    upstream: Upstream,
    request: UpstreamRequest,
    hooks: Partial<UpstreamHandler> & { onCall?: (call: UpstreamCall) => void } = {},
  ): Promise<Collected> {
    return new Promise((resolve) => {
      const collected: Collected = { status: 0, headers: {}, body: '', trailers: [], informed: [], fault: undefined }
      const call = upstream.send(request, {
        onInformation: (status) => void collected.informed.push(status),
        onHead: (status, headers) => {
          collected.status = status
          for (let i = 0; i < headers.length; i += 2)
            collected.headers[(headers[i] ?? '').toLowerCase()] = headers[i + 1] ?? ''
        },
        onData: (chunk) => {
          collected.body += chunk.toString()
        },
        onEnd: (trailers) => {
          collected.trailers = [...trailers]
          resolve(collected)
        },
        onError: (fault) => {
          collected.fault = fault
          resolve(collected)
        },
        ...hooks,
      })
      hooks.onCall?.(call)
    })
  }

  test('sends method, target and fields as they are, with a host of its own, and brings the answer', async () => {
    const { stub, upstream } = await stubbed()
    const answer = await collect(upstream, get('/a%2Fb?x=%20y', ['X-One', '1', 'x-two', 'ä']))
    expect(answer).toMatchObject({ status: 200, body: '{"ok":true}', headers: { 'content-type': 'application/json' } })
    expect(stub.seen[0]).toMatchObject({ method: 'GET', url: '/a%2Fb?x=%20y', headers: { 'x-one': '1' } })
    expect(stub.seen[0]?.headers.host).toBe(new URL(upstream.origin).host)
  })

  test('many at once get each its own answer', async () => {
    const { upstream } = await stubbed((request, response) => {
      const answer = () => response.end(`for ${request.url}`)
      if (request.url?.endsWith('7') === true) setTimeout(answer, 5)
      else answer()
    })
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => collect(upstream, get(`/${i}`))))
    expect(answers.map((answer) => answer.body)).toEqual(Array.from({ length: 300 }, (_, i) => `for /${i}`))
  })

  test('behind an answer that is known to be slow nothing has to wait', async () => {
    const held: (() => void)[] = []
    const { upstream } = await stubbed((request, response) => {
      if (request.url === '/slow') held.push(() => response.end('slow'))
      else response.end('fast')
    })
    const slow = collect(upstream, get('/slow'))
    await vi.waitFor(() => expect(held).toHaveLength(1))
    await new Promise((resolve) => setTimeout(resolve, 60))
    const fast = await Promise.all(Array.from({ length: 50 }, () => collect(upstream, get('/fast'))))
    expect(fast.every((answer) => answer.body === 'fast')).toBe(true)
    for (const release of held) release()
    expect((await slow).body).toBe('slow')
  })

  test('request bodies of known and unknown length arrive whole', async () => {
    const { upstream } = await stubbed((request, response) => {
      let length = 0
      request.on('data', (chunk: Buffer) => (length += chunk.length))
      request.on('end', () => response.end(`${length} ${request.headers['transfer-encoding'] ?? 'sized'}`))
    })
    const chunks = Array.from({ length: 50 }, () => Buffer.alloc(10_000))
    const known = await collect(upstream, {
      method: 'POST',
      target: '/',
      headers: ['content-length', '500000'],
      body: Readable.from(chunks),
    })
    expect(known.body).toBe('500000 sized')
    const unknown = await collect(upstream, { method: 'PUT', target: '/', headers: [], body: Readable.from(chunks) })
    expect(unknown.body).toBe('500000 chunked')
  })

  test('answers of every framing end where they end: chunked with trailers, HEAD, 204, 304, empty, until close', async () => {
    const upstream = await raw((socket, head) => {
      const path = head.split(' ')[1]
      if (path === '/chunked')
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
        )
      if (path === '/head') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      if (path === '/204') socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      if (path === '/304') socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n')
      if (path === '/empty') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      if (path === '/close') socket.end('HTTP/1.1 200 OK\r\n\r\nto the end')
    })
    expect(await collect(upstream, get('/chunked'))).toMatchObject({ body: 'abcde', trailers: ['X-T', '1'] })
    expect(await collect(upstream, { ...get('/head'), method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
    expect(await collect(upstream, get('/204'))).toMatchObject({ status: 204, body: '' })
    expect(await collect(upstream, get('/304'))).toMatchObject({ status: 304, body: '' })
    expect(await collect(upstream, get('/empty'))).toMatchObject({ status: 200, body: '' })
    expect(await collect(upstream, get('/close'))).toMatchObject({ status: 200, body: 'to the end' })
    expect(await collect(upstream, get('/empty'))).toMatchObject({ status: 200, fault: undefined })
  })

  test('1xx answers are told, and the real one comes after them', async () => {
    const upstream = await raw((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    expect(await collect(upstream, get('/'))).toMatchObject({ informed: [103], status: 200, body: 'ok' })
  })

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na'],
    ['two lengths that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n'],
  ])('an answer with %s is a fault, never half an answer', async (_name, bytes) => {
    const upstream = await raw((socket) => socket.write(bytes))
    expect((await collect(upstream, get('/'))).fault?.kind).toBe('broken')
  })

  test('an upstream that is not there, breaks off, or breaks in the middle is told apart', async () => {
    const { stub, upstream } = await stubbed((_request, response) => void response.socket?.destroy())
    expect((await collect(upstream, get('/'))).fault?.kind).toBe('broken')
    stub.answer = (_request, response) => {
      response.writeHead(200, { 'Content-Length': '10' }).write('half')
      setTimeout(() => response.socket?.destroy(), 5)
    }
    expect(await collect(upstream, get('/'))).toMatchObject({ status: 200, body: 'half', fault: { kind: 'broken' } })
    await stub.stop()
    expect((await collect(upstream, get('/'))).fault?.kind).toBe('connect')
  })

  test('what is aborted is told nothing more, the upstream sees it, and others go on', async () => {
    const { stub, upstream } = await stubbed((request, response) => {
      if (request.url === '/endless') response.writeHead(200).write('x')
      else response.end('ok')
    })
    const told: string[] = []
    const call = await new Promise<UpstreamCall>((resolve) => {
      const sent: UpstreamCall = upstream.send(get('/endless'), {
        onHead: () => {},
        onData: () => resolve(sent),
        onEnd: () => told.push('end'),
        onError: () => told.push('error'),
      })
    })
    call.abort()
    expect((await collect(upstream, get('/after'))).body).toBe('ok')
    await vi.waitFor(() => expect(stub.aborted).toBe(1))
    expect(told).toEqual([])
  })

  test('a paused answer waits in the upstream, not in memory, and comes whole when resumed', async () => {
    const total = 20_000_000
    const { upstream } = await stubbed((_request, response) => {
      let sent = 0
      const more = () => {
        while (sent < total) {
          sent += 100_000
          if (!response.write(Buffer.alloc(100_000)) && sent < total) {
            response.once('drain', more)
            return
          }
        }
        response.end()
      }
      more()
    })
    let received = 0
    let call: UpstreamCall | undefined
    let pausedAt = 0
    const ended = new Promise<void>((resolve, reject) => {
      call = upstream.send(get('/'), {
        onHead: () => {},
        onData: (chunk) => {
          received += chunk.length
          if (pausedAt !== 0) return
          pausedAt = received
          call?.pause()
          setTimeout(() => {
            pausedAt = received
            call?.resume()
          }, 100)
        },
        onEnd: () => resolve(),
        onError: reject,
      })
    })
    await ended
    expect(pausedAt).toBeLessThan(2_000_000)
    expect(received).toBe(total)
  })
}
