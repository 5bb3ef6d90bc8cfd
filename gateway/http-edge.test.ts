import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RedisServer } from '../runtime/redis-server.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { startRedisWith } from './testing/redis-with.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

let redisServer: RedisServer
let gateway: GatewayProcess
const tenant = makeTenant('edge')
const backend = new StubUpstream('from-gateway')
const key = `apikey: ${tenant.anonKey}`

beforeAll(async () => {
  redisServer = await startRedisWith(tenant)
  gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_GATEWAY_WORKERS: '1',
    AERODB_GATEWAY_MAX_BODY_BYTES: '1000000',
  })
})

afterAll(async () => {
  await gateway.stop()
  await Promise.all([backend.stop(), redisServer.stop()])
})

beforeEach(() => {
  backend.seen.length = 0
  backend.answer = (request, response) => {
    let size = 0
    request.on('data', (chunk: Buffer) => (size += chunk.length))
    request.on('end', () => response.end(`got ${size}`))
  }
})

/** Writes bytes as they are and reads until the gateway ends the connection, or until `enough` is in the answer. */
function speak(bytes: string, enough?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1')
    let answer = ''
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end after: ${answer}`))
    }, 5_000)
    const end = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      if (enough !== undefined && answer.includes(enough)) end()
    })
    socket.once('end', end)
    socket.once('error', end)
    socket.write(bytes, 'latin1')
  })
}

const HEAD = `POST /rest/v1/t HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n`
const SMUGGLED = 'GET /rest/v1/smuggled HTTP/1.1\r\nHost: edge.localhost\r\n\r\n'

test.each([
  ['both framings', `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  [
    'both framings, the other way',
    `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  ['two lengths that differ', `${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!${SMUGGLED}`],
  ['two equal lengths', `${HEAD}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`],
  ['a list of lengths', `${HEAD}Content-Length: 5, 5\r\n\r\nhello${SMUGGLED}`],
  ['a signed length', `${HEAD}Content-Length: +5\r\n\r\nhello${SMUGGLED}`],
  ['a hexadecimal length', `${HEAD}Content-Length: 0x5\r\n\r\nhello${SMUGGLED}`],
  ['an unknown coding', `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['chunked twice', `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['chunked not last', `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['a space before the colon', `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['a tab before the coding', `${HEAD}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
  ['a folded line', `${HEAD}X-A: 1\r\n folded: 2\r\nContent-Length: 0\r\n\r\n`],
  ['a folded first line', `GET / HTTP/1.1\r\n Host: edge.localhost\r\n\r\n`],
  ['bare LF after a field', `GET /rest/v1/t HTTP/1.1\nHost: edge.localhost\n${key}\n\n`],
  ['bare CR in a field', `${HEAD}X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n`],
  ['NUL in a value', `${HEAD}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`],
  ['a control character in a value', `${HEAD}X-A: a\x01b\r\nContent-Length: 0\r\n\r\n`],
  ['NUL in a name', `${HEAD}X\0A: b\r\nContent-Length: 0\r\n\r\n`],
  ['an empty name', `${HEAD}: b\r\nContent-Length: 0\r\n\r\n`],
  ['a chunk without a size', `${HEAD}Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n`],
  ['a chunk longer than its size', `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n`],
  ['a negative chunk', `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n`],
  ['a chunk ended by bare LF', `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n`],
  [
    'a coding in HTTP/1.0',
    `POST /rest/v1/t HTTP/1.0\r\nHost: edge.localhost\r\n${key}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['another version', `GET /rest/v1/t HTTP/1.7\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['no version', `GET /rest/v1/t\r\nHost: edge.localhost\r\n\r\n`],
  ['no Host', `GET /rest/v1/t HTTP/1.1\r\n${key}\r\n\r\n`],
  ['two Hosts', `GET /rest/v1/t HTTP/1.1\r\nHost: edge.localhost\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['an empty Host', `GET /rest/v1/t HTTP/1.1\r\nHost:\r\n${key}\r\n\r\n`],
  ['a Host with userinfo', `GET /rest/v1/t HTTP/1.1\r\nHost: x@edge.localhost\r\n${key}\r\n\r\n`],
  ['a Host with a path', `GET /rest/v1/t HTTP/1.1\r\nHost: edge.localhost/x\r\n${key}\r\n\r\n`],
  ['a Host with a comma', `GET /rest/v1/t HTTP/1.1\r\nHost: edge.localhost,x\r\n${key}\r\n\r\n`],
  ['a Host with a space', `GET /rest/v1/t HTTP/1.1\r\nHost: edge.localhost x\r\n${key}\r\n\r\n`],
  ['a Host with a bad port', `GET /rest/v1/t HTTP/1.1\r\nHost: edge.localhost:8a\r\n${key}\r\n\r\n`],
  ['a path with dot segments', `GET /rest/v1/../../x HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['a path with encoded dot segments', `GET /rest/v1/%2e%2E/x HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['a path with a fragment', `GET /rest/v1/x#y HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['asterisk form', `OPTIONS * HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n\r\n`],
  ['garbage', 'this is not HTTP at all\r\n\r\n'],
])('%s is refused with 400, the connection ends, and nothing of it reaches a backend', async (_name, bytes) => {
  const answer = await speak(bytes)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer.match(/(?:^|\n)HTTP\/1\.1 /g)).toHaveLength(1)
  expect(answer).toMatch(/x-request-id: req_/i)
  expect(answer).toContain('application/problem+json')
  expect(backend.seen.filter(({ url }) => url.includes('smuggled'))).toEqual([])
})

test('a header or a target that is too large is 431 or 414, and CONNECT and TRACE are not served', async () => {
  expect(await speak(`${HEAD}X-Large: ${'x'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
  const target = `/rest/v1/t?${'x'.repeat(17_000)}`
  expect(await speak(`GET ${target} HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 414 /)
  expect(await speak('CONNECT edge.localhost:80 HTTP/1.1\r\nHost: edge.localhost\r\n\r\n')).toMatch(
    /^(?:HTTP\/1\.1 4|$)/,
  )
  expect(
    await speak(`TRACE /rest/v1/t HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\nConnection: close\r\n\r\n`),
  ).toMatch(/^HTTP\/1\.1 405 /)
  expect(backend.seen).toEqual([])
})

test('absolute form is served by its own authority, whatever Host says', async () => {
  const answer = await speak(
    `GET http://edge.localhost/rest/v1/abs?x=1 HTTP/1.1\r\nHost: other.localhost\r\n${key}\r\nConnection: close\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(backend.seen[0]).toMatchObject({ url: '/rest/v1/abs?x=1', headers: { 'x-forwarded-host': 'edge.localhost' } })
})

test('pipelined requests are answered one after the other, in order', async () => {
  const one = (n: number) =>
    `GET /rest/v1/p${n} HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\n${n === 3 ? 'Connection: close\r\n' : ''}\r\n`
  backend.answer = (request, response) => {
    setTimeout(() => response.end(`<${request.url}>`), request.url === '/rest/v1/p1' ? 30 : 0)
  }
  const answer = await speak(one(1) + one(2) + one(3))
  expect(answer.match(/<[^>]+>/g)).toEqual(['</rest/v1/p1>', '</rest/v1/p2>', '</rest/v1/p3>'])
})

test('Expect: 100-continue is answered only when the body is wanted', async () => {
  const expecting = `${HEAD}Expect: 100-continue\r\nContent-Length: 5\r\n`
  const answered = speak(`${expecting}Connection: close\r\n\r\n`, 'HTTP/1.1 100 Continue\r\n\r\n')
  expect(await answered).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
  const refused = await speak(
    'POST /rest/v1/t HTTP/1.1\r\nHost: edge.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
  )
  expect(refused).toMatch(/^HTTP\/1\.1 401 /)
  expect(refused).toMatch(/connection: close/i)
  const unknown = await speak(`${HEAD}Expect: 200-maybe\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
  expect(unknown).toMatch(/^HTTP\/1\.1 417 /)
})

test('a body over the limit is 413, also when its length was not announced', async () => {
  expect(await speak(`${HEAD}Content-Length: 1000001\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413 /)
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
  expect(
    await speak(`${HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}0\r\n\r\n`),
  ).toMatch(/^HTTP\/1\.1 413 /)
})

test('chunked bodies and their trailers pass; early hints and response trailers reach the client', async () => {
  backend.answer = (request, response) => {
    request.resume()
    request.on('end', () => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' })
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write('body')
      response.addTrailers({ 'X-Sum': '42' })
      response.end()
    })
  }
  const answer = await speak(
    `${HEAD}TE: trailers\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: <\/style\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 /i)
  expect(answer).toMatch(/0\r\nX-Sum: 42\r\n\r\n$/)
})

test('HEAD has the fields of GET and no body; HTTP/1.0 gets a body that ends with the connection', async () => {
  backend.answer = (_request, response) => {
    response.writeHead(200, { 'Content-Length': '4' }).end('body')
  }
  const head = await speak(`HEAD /rest/v1/t HTTP/1.1\r\nHost: edge.localhost\r\n${key}\r\nConnection: close\r\n\r\n`)
  expect(head).toMatch(/content-length: 4\r\n/i)
  expect(head).toMatch(/\r\n\r\n$/)
  backend.answer = (_request, response) => {
    response.write('to the ')
    response.end('end')
  }
  const old = await speak(`GET /rest/v1/t HTTP/1.0\r\nHost: edge.localhost\r\n${key}\r\n\r\n`)
  expect(old).not.toMatch(/transfer-encoding/i)
  expect(old).toMatch(/\r\n\r\nto the end$/)
})
