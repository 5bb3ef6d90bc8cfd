import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { findFreePort } from '../runtime/free-port.ts'
import type { RedisServer } from '../runtime/redis-server.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { startRedisWith } from './testing/redis-with.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

let redisServer: RedisServer
let gateway: GatewayProcess
let directory: string
let port: number
const backend = new StubUpstream('from-gateway')
const tenant = makeTenant('secure')
/** A stand-in for the realtime backend. */
const echo = new WebSocketServer({ noServer: true })

/** A self-signed certificate for `host`, as `<name>.crt` and `<name>.key`. */
async function makeCertificate(name: string, host: string, commonName: string): Promise<void> {
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${commonName}`, '-addext', `subjectAltName=DNS:${host}`],
    ...['-keyout', join(directory, `${name}.key`), '-out', join(directory, `${name}.crt`)],
  ])
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-tls-'))
  await makeCertificate('wildcard', '*.localhost', 'first')
  await makeCertificate('own', 'own.localhost', 'own')
  redisServer = await startRedisWith(tenant)
  port = await findFreePort()
  gateway = await GatewayProcess.start({
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_GATEWAY_WORKERS: '1',
    AERODB_GATEWAY_TLS_DIRECTORY: directory,
    AERODB_GATEWAY_TLS_PORT: String(port),
    AERODB_GATEWAY_HEAD_TIMEOUT_MS: '2000',
  })
  backend.server.on('upgrade', (request, socket, head) =>
    echo.handleUpgrade(request, socket, head, (ws) => ws.on('message', (data) => ws.send(data))),
  )
  backend.answer = (request, response) => {
    let size = 0
    request.on('data', (chunk: Buffer) => (size += chunk.length))
    request.on('end', () => response.end(`${request.method} ${size} ${request.headers['x-forwarded-proto']}`))
  }
})

afterAll(async () => {
  await gateway.stop()
  await Promise.all([backend.stop(), redisServer.stop()])
  await rm(directory, { recursive: true, force: true })
})

type Answer = { status: number; body: string; headers: Record<string, unknown> }

/** Requests over one HTTP/2 connection, all at once. */
async function askHttp2(requests: { headers: Record<string, string>; body?: string }[]): Promise<Answer[]> {
  const session = connectHttp2(`https://secure.localhost:${port}`, {
    ca: await readFile(join(directory, 'wildcard.crt')),
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port,
        servername: 'secure.localhost',
        ALPNProtocols: ['h2'],
        rejectUnauthorized: false,
      }),
  })
  try {
    return await Promise.all(
      requests.map(
        ({ headers, body }) =>
          new Promise<Answer>((resolve, reject) => {
            const stream = session.request({ apikey: tenant.anonKey, ...headers }, { endStream: body === undefined })
            let status = 0
            let seen: Record<string, unknown> = {}
            let text = ''
            stream.on('response', (fields) => {
              status = Number(fields[':status'])
              seen = fields
            })
            stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
            stream.once('end', () => resolve({ status, body: text, headers: seen }))
            stream.once('error', reject)
            if (body !== undefined) stream.end(body)
          }),
      ),
    )
  } finally {
    session.close()
  }
}

const authority = { ':authority': 'secure.localhost' }

test('HTTP/2: many requests on one connection, bodies, HEAD, refusals; the authority decides the tenant', async () => {
  const many = await askHttp2(
    Array.from({ length: 40 }, () => ({ headers: { ...authority, ':path': '/rest/v1/t?x=1' } })),
  )
  expect(many.every(({ status, body }) => status === 200 && body === 'GET 0 https')).toBe(true)
  const [post, head, wrongKey, wrongHost, contradiction] = await askHttp2([
    { headers: { ...authority, ':path': '/rest/v1/t', ':method': 'POST' }, body: 'x'.repeat(200_000) },
    { headers: { ...authority, ':path': '/rest/v1/t', ':method': 'HEAD' } },
    { headers: { ...authority, ':path': '/rest/v1/t', apikey: 'nonsense' } },
    { headers: { ':authority': 'nobody.localhost', ':path': '/rest/v1/t' } },
    { headers: { ...authority, host: 'other.localhost', ':path': '/rest/v1/t' } },
  ])
  expect(post).toMatchObject({ status: 200, body: 'POST 200000 https' })
  expect(head).toMatchObject({ status: 200, body: '' })
  expect(wrongKey?.status).toBe(401)
  expect(wrongHost?.status).toBe(404)
  expect(contradiction?.status).toBe(400)
})

test('HTTP/1.1 over TLS is served too', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path: '/rest/v1/t',
      servername: 'secure.localhost',
      rejectUnauthorized: false,
    }
    httpsRequest(
      { ...options, agent: false, headers: { host: 'secure.localhost', apikey: tenant.anonKey } },
      (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => (body += chunk.toString()))
        response.once('end', () => resolve(`${response.statusCode} ${body}`))
      },
    )
      .once('error', reject)
      .end()
  })
  expect(answer).toBe('200 GET 0 https')
})

/** Sends raw bytes over TLS without ALPN, as an HTTP/1.1 client may; resolves with all that comes until the gateway closes. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'secure.localhost', rejectUnauthorized: false })
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.once('close', () => resolve(received))
    socket.once('error', reject)
    socket.write(text)
  })
}

test.each([
  [
    'both lengths',
    'POST /rest/v1/t HTTP/1.1\r\nHost: secure.localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two hosts', 'GET /rest/v1/t HTTP/1.1\r\nHost: secure.localhost\r\nHost: other.localhost\r\n\r\n'],
  ['no host', 'GET /rest/v1/t HTTP/1.1\r\n\r\n'],
  ['a space before the colon', 'GET /rest/v1/t HTTP/1.1\r\nHost : secure.localhost\r\n\r\n'],
  ['a path that leads out', 'GET /rest/v1/../t HTTP/1.1\r\nHost: secure.localhost\r\n\r\n'],
])('HTTP/1.1 over TLS is held to the same rules: %s is refused and the connection closed', async (_name, text) => {
  expect(await sendRaw(text)).toMatch(/^HTTP\/1\.1 400 /)
})

test('a head that does not arrive in time is refused over TLS too', async () => {
  expect(await sendRaw('GET /rest/v1/t HTTP/1.1\r\nHost: secure.localhost\r\n')).toMatch(/^HTTP\/1\.1 408 /)
})

test('a WebSocket over TLS passes through, beside HTTP/2 on the same port', async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/realtime/v1/websocket?apikey=${tenant.anonKey}&vsn=1.0.0`, {
    headers: { Host: 'secure.localhost' },
    agent: new HttpsAgent({ servername: 'secure.localhost', rejectUnauthorized: false }),
  })
  try {
    await once(socket, 'open')
    const text = 'ä'.repeat(100_000)
    socket.send(text)
    const [echoed] = (await once(socket, 'message')) as [Buffer]
    expect(echoed.toString()).toBe(text)
    const [beside] = await askHttp2([{ headers: { ...authority, ':path': '/rest/v1/t' } }])
    expect(beside?.status).toBe(200)
  } finally {
    socket.terminate()
  }
})

function commonNameFor(servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false }, () => {
      const certificate: PeerCertificate = socket.getPeerCertificate()
      socket.destroy()
      resolve(String(certificate.subject.CN))
    })
    socket.once('error', reject)
  })
}

test('a host gets its own certificate or the wildcard, and a changed one is taken up without a restart', async () => {
  expect(await commonNameFor('own.localhost')).toBe('own')
  expect(await commonNameFor('secure.localhost')).toBe('first')
  await makeCertificate('wildcard', '*.localhost', 'second')
  await vi.waitFor(async () => expect(await commonNameFor('secure.localhost')).toBe('second'), {
    timeout: 15_000,
    interval: 250,
  })
  expect(await commonNameFor('own.localhost')).toBe('own')
})
