import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EdgeWorld } from './testing/edge-world.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

/*
 * What public HTTP/1.1 probes ask of a server (Http11Probe's list, h1spec, http-garden's differences), beside the shapes of
 * `http-edge.test.ts`, by RFC 9110 and 9112. Where a probe lets a server choose, this is what we chose.
 */

const tenant = makeTenant('probe')
const backend = new StubUpstream('from-gateway')
let world: EdgeWorld

beforeAll(async () => {
  world = await EdgeWorld.start(tenant, await backend.start(), { AERODB_GATEWAY_BODY_IDLE_MS: '1000' })
})
afterAll(async () => {
  await world.stop()
  await backend.stop()
})
beforeEach(() => {
  backend.seen.length = 0
  backend.answer = (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
    request.on('end', () => response.end(`<${body}>`))
    request.on('error', () => {})
  }
})

const FIELDS = `Host: probe.localhost\r\napikey: ${tenant.anonKey}\r\n`
const get = (fields: string) => `GET /rest/v1/t HTTP/1.1\r\n${FIELDS}${fields}\r\n`
const post = (fields: string, body = '') => `POST /rest/v1/t HTTP/1.1\r\n${FIELDS}${fields}\r\n${body}`
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body)
const line = (requestLine: string) => `${requestLine}\r\n${FIELDS}\r\n`
const AFTER = 'GET /rest/v1/smuggled HTTP/1.1\r\nHost: probe.localhost\r\n\r\n'

describe('refused with 400, and the connection ends', () => {
  test.each([
    // Request line (RFC 9112 3)
    ['a tab after the method', line('GET\t/rest/v1/t HTTP/1.1')],
    ['a tab before the version', line('GET /rest/v1/t\tHTTP/1.1')],
    ['a space in the target', line('GET /rest/v1/t x HTTP/1.1')],
    ['no target', line('GET HTTP/1.1')],
    ['a space before the method', line(' GET /rest/v1/t HTTP/1.1')],
    ['a method that is no token', line('G{}T /rest/v1/t HTTP/1.1')],
    ['an unknown protocol', line('GET /rest/v1/t HTTQ/1.1')],
    ['lower-case http', line('GET /rest/v1/t http/1.1')],
    ['a version without its minor', line('GET /rest/v1/t HTTP/1')],
    ['a version with a leading zero', line('GET /rest/v1/t HTTP/01.1')],
    ['a version with a space', line('GET /rest/v1/t HTTP/ 1.1')],
    ['HTTP/2 without its preface', line('GET /rest/v1/t HTTP/2.0')],
    ['HTTP/0.9', 'GET /rest/v1/t\r\n\r\n'],
    ['NUL in the target', line('GET /rest/v1/\0t HTTP/1.1')],
    ['a control character in the target', line('GET /rest/v1/\x01t HTTP/1.1')],
    ['a byte above ASCII in the target', line('GET /rest/v1/\xe9 HTTP/1.1')],
    ['GET with asterisk form', line('GET * HTTP/1.1')],
    ['authority form without CONNECT', line('GET probe.localhost:80 HTTP/1.1')],
    ['absolute form of another scheme', line('GET ftp://probe.localhost/rest/v1/t HTTP/1.1')],
    ['absolute form with userinfo', line('GET http://x@probe.localhost/rest/v1/t HTTP/1.1')],
    // Fields (RFC 9110 5, RFC 9112 5)
    ['a line without a colon', get('nonsense\r\n')],
    ['white space before the first field', `GET /rest/v1/t HTTP/1.1\r\n X: 1\r\n${FIELDS}\r\n`],
    ['a name that is no token', get('X[]: 1\r\n')],
    ['a tab in a name', get('X\tA: 1\r\n')],
    ['a byte above ASCII in a name', get('X\xe9: 1\r\n')],
    ['a space before the colon of Content-Length', post('Content-Length : 3\r\n', 'abc')],
    ['DEL in a value', get('X-A: a\x7fb\r\n')],
    ['lines that end with CR alone', `GET /rest/v1/t HTTP/1.1\r${FIELDS.replaceAll('\r\n', '\r')}\r`],
    ['LF alone after the request line', `GET /rest/v1/t HTTP/1.1\n${FIELDS}\r\n`],
    ['a Host that is a list in two lines', get('Host: probe.localhost\r\n')],
    // Content-Length (RFC 9110 8.6)
    ['a negative length', post('Content-Length: -1\r\n')],
    ['minus zero', post('Content-Length: -0\r\n')],
    ['an empty length', post('Content-Length:\r\n')],
    ['a length with a space inside', post('Content-Length: 1 0\r\n', 'a'.repeat(10))],
    ['a length with an underscore', post('Content-Length: 1_0\r\n', 'a'.repeat(10))],
    ['a length that is octal by notation', post('Content-Length: 0o5\r\n', 'abcde')],
    ['a length past 64 bits', post('Content-Length: 99999999999999999999\r\n', 'abc')],
    ['a length that is a fraction', post('Content-Length: 3.0\r\n', 'abc')],
    ['a length in an exponent', post('Content-Length: 1e1\r\n', 'a'.repeat(10))],
    ['a list of lengths that differ', post('Content-Length: 3, 4\r\n', `abcd${AFTER}`)],
    // Transfer-Encoding (RFC 9112 6.1)
    ['identity', post('Transfer-Encoding: identity\r\nContent-Length: 3\r\n', 'abc')],
    ['an empty coding', post('Transfer-Encoding:\r\nContent-Length: 3\r\n', 'abc')],
    ['a form feed in the coding', post('Transfer-Encoding: \x0cchunked\r\n', '0\r\n\r\n')],
    ['a quoted coding', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')],
    ['a coding with a parameter', post('Transfer-Encoding: chunked;a=b\r\n', '0\r\n\r\n')],
    ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')],
    ['NUL in the coding', post('Transfer-Encoding: chunked\0\r\n', '0\r\n\r\n')],
    ['a coding and an empty length', post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', `0\r\n\r\n${AFTER}`)],
    // Chunks (RFC 9112 7.1)
    ['a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n')],
    ['a chunk size with an underscore', chunked('1_0\r\nabcdefghijabcdef\r\n0\r\n\r\n')],
    ['a chunk size with a sign', chunked('+3\r\nabc\r\n0\r\n\r\n')],
    ['a space before a chunk size', chunked(' 3\r\nabc\r\n0\r\n\r\n')],
    ['a chunk size past 64 bits', chunked('FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n')],
    ['a chunk without CRLF after it', chunked('3\r\nabc0\r\n\r\n')],
    ['a chunk size that ends with CR alone', chunked('3\rabc\r\n0\r\n\r\n')],
    ['NUL in a chunk extension', chunked('3;a\0\r\nabc\r\n0\r\n\r\n')],
    ['LF alone in a chunk extension', chunked('3;a\nabc\r\n0\r\n\r\n')],
    ['CR alone in a chunk extension', chunked('3;a\rb\r\nabc\r\n0\r\n\r\n')],
    ['a chunk extension without a name', chunked('3;\r\nabc\r\n0\r\n\r\n')],
    ['LF alone after the last chunk', chunked('3\r\nabc\r\n0\r\n\n')],
    ['a trailer without a colon', chunked('0\r\nnonsense\r\n\r\n')],
    ['a trailer with a space before the colon', chunked('0\r\nX : 1\r\n\r\n')],
  ])('%s', async (_name, bytes) => {
    const { answer, isEnded } = await world.speak(bytes, { patienceMs: 4_000 })
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.match(/(?:^|\n)HTTP\/1\.1 /g)).toHaveLength(1)
    expect(isEnded).toBe(true)
    expect(backend.seen.filter(({ url }) => url.includes('smuggled'))).toEqual([])
  })
})

describe('served', () => {
  test.each([
    ['an empty line before the request', `\r\n${get('')}`, '<>'],
    ['white space around a value', get('X-A: \t 1 \t \r\n'), '<>'],
    ['an empty value', get('X-A:\r\n'), '<>'],
    ['a value with bytes above ASCII', get('X-A: \xe9\r\n'), '<>'],
    ['a value with a tab inside', get('X-A: a\tb\r\n'), '<>'],
    ['a name in any case', `GET /rest/v1/t HTTP/1.1\r\n${FIELDS.replace('Host', 'hOST')}\r\n`, '<>'],
    ['POST with neither length nor coding: it has no body', post(''), '<>'],
    ['a length of zero', post('Content-Length: 0\r\n'), '<>'],
    ['a body of its length', post('Content-Length: 3\r\n', 'abc'), '<abc>'],
    ['white space around a length', post('Content-Length:   3  \r\n', 'abc'), '<abc>'],
    ['a length with a leading zero, which is still decimal', post('Content-Length: 003\r\n', 'abc'), '<abc>'],
    ['GET with a body', `${get('Content-Length: 3\r\n')}abc`, '<abc>'],
    ['many chunks', chunked('1\r\na\r\n2\r\nbc\r\n0\r\n\r\n'), '<abc>'],
    ['no chunk but the last', chunked('0\r\n\r\n'), '<>'],
    ['a chunk size in capitals', chunked('A\r\nabcdefghij\r\n0\r\n\r\n'), '<abcdefghij>'],
    ['a chunk size with leading zeros', chunked('0003\r\nabc\r\n000\r\n\r\n'), '<abc>'],
    ['a chunk extension, which is ignored', chunked('3;name=value;other="x;y"\r\nabc\r\n0\r\n\r\n'), '<abc>'],
    ['trailers', chunked('3\r\nabc\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n'), '<abc>'],
    ['a coding in any case', post('Transfer-Encoding: CHUNKED\r\n', '3\r\nabc\r\n0\r\n\r\n'), '<abc>'],
    ['a method that is only a token', line('PROPFIND /rest/v1/t HTTP/1.1'), '<>'],
    ['percent-encoded bytes', line('GET /rest/v1/%C3%A9?q=%00x%20 HTTP/1.1'), '<>'],
    ['an Upgrade that Connection does not name', get('Upgrade: websocket\r\n'), '<>'],
  ])('%s', async (_name, bytes, body) => {
    // Another request follows on the connection: both are answered, so both ends have found the same end of the first.
    const { answer, isEnded } = await world.speak(bytes + get('Connection: close\r\n'), { patienceMs: 4_000 })
    expect(answer.match(/(?:^|>)HTTP\/1\.1 200 /g)).toHaveLength(2)
    expect(answer.match(/<[^>]*>/g)).toEqual([body, '<>'])
    expect(isEnded).toBe(true)
  })
})

test('Connection: close ends the connection after the answer, and what follows is not served', async () => {
  const { answer, isEnded } = await world.speak(get('Connection: close\r\n') + AFTER)
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  expect(answer).toMatch(/connection: close/i)
  expect(isEnded).toBe(true)
  expect(backend.seen.filter(({ url }) => url.includes('smuggled'))).toEqual([])
})

test.each([
  ['garbage', 'garbage\r\n\r\n'],
  ['a request that is refused by its form', get('X Y: 1\r\n')],
])('%s behind a good request is refused after the good one was answered', async (_name, bytes) => {
  backend.answer = (_request, response) => {
    setTimeout(() => response.end('<good>'), 100)
  }
  const { answer, isEnded } = await world.speak(get('') + bytes, { patienceMs: 4_000 })
  expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*<good>HTTP\/1\.1 400 /)
  expect(isEnded).toBe(true)
})

test.each([
  ['at once', (packet: string) => [packet + AFTER]],
  ['split', (packet: string) => [packet + AFTER.slice(0, 10), AFTER.slice(10) + AFTER]],
])(
  'an Upgrade to what we do not speak is answered as if it were not there, and nothing %s after it is served',
  async (_how, cut) => {
    const [first = '', second] = cut(get('Connection: Upgrade\r\nUpgrade: foo/2\r\n'))
    backend.answer = (_request, response) => {
      setTimeout(() => response.end('<good>'), 200)
    }
    const { answer, isEnded } = await world.speak(first, { patienceMs: 4_000, ...(second && { later: second }) })
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(isEnded).toBe(true)
    expect(backend.seen).toHaveLength(1)
  },
)

test('HTTP/1.0 ends with the answer unless keep-alive was asked for', async () => {
  const old = (fields: string) => `GET /rest/v1/t HTTP/1.0\r\n${FIELDS}${fields}\r\n`
  expect(await world.speak(old(''))).toMatchObject({ isEnded: true })
  const kept = await world.speak(old('Connection: keep-alive\r\n'), { patienceMs: 300 })
  expect(kept.answer).toMatch(/^HTTP\/1\.1 200 /)
})

test.each([
  ['its length', post('Content-Length: 10\r\n', 'abc')],
  ['its last chunk', chunked('3\r\nabc\r\n')],
])('a body that ends before %s is not served as whole', async (_name, bytes) => {
  const { answer, isEnded } = await world.speak(bytes, { isLast: true, patienceMs: 5_000 })
  expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
  expect(isEnded).toBe(true)
})

test.each([
  ['a method of 10 000 letters', line(`${'A'.repeat(10_000)} /rest/v1/t HTTP/1.1`), /^HTTP\/1\.1 (?:400|501) /],
  ['a name of 100 000 letters', get(`${'X'.repeat(100_000)}: 1\r\n`), /^HTTP\/1\.1 431 /],
  ['ten thousand fields', get('X: 1\r\n'.repeat(10_000)), /^HTTP\/1\.1 431 /],
  ['a target of 100 000 letters', line(`GET /${'a'.repeat(100_000)} HTTP/1.1`), /^HTTP\/1\.1 (?:414|431) /],
  ['CONNECT', 'CONNECT probe.localhost:443 HTTP/1.1\r\nHost: probe.localhost:443\r\n\r\n', /^(?:HTTP\/1\.1 4\d\d |$)/],
  ['TRACE with a body', `TRACE /rest/v1/t HTTP/1.1\r\n${FIELDS}Content-Length: 3\r\n\r\nabc`, /^HTTP\/1\.1 405 /],
  [
    'a WebSocket by POST',
    `POST /realtime/v1/websocket HTTP/1.1\r\n${FIELDS}Connection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n`,
    /^HTTP\/1\.1 (?!101)/,
  ],
])('%s is answered with a refusal', async (_name, bytes, answered) => {
  expect((await world.speak(bytes, { patienceMs: 4_000 })).answer).toMatch(answered)
})
