import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { TestPlatform } from '../support/platform.ts'
import { type Cast, startCasts } from './cast.ts'

/**
 * Hostile input at every door of a whole platform: no 5xx, no hang, no process that dies, no memory that grows. Bounded here;
 * `npm run fuzz -- SECONDS` goes on for longer. `FC_SEED` repeats a run.
 */
const SECONDS = Number(process.env.AERODB_FUZZ_SECONDS ?? '6')
const DOORS = 6
const HANG_MS = 20_000
/** Of one process: room for caches that fill once, not for what each request would leave. */
const MAX_GROWTH_BYTES = 250_000_000

let platform: TestPlatform
let cast: Cast
let before: Map<number, number>

beforeAll(async () => {
  const started = await startCasts(['schema'])
  platform = started.platform
  cast = started.casts.get('schema') as Cast
  before = await memoryOfProcesses()
}, 120_000)

afterAll(() => platform?.close())

/** Resident bytes by process id. */
async function memoryOfProcesses(): Promise<Map<number, number>> {
  const { gateway = [], control = [], backend = [], metering = [] } = (await platform.refresh()).pids
  const memory = new Map<number, number>()
  for (const pid of [...gateway, ...control, ...backend, ...metering]) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    memory.set(pid, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024)
  }
  return memory
}

/** Tries inputs for this door's part of the time. */
async function fuzz<Input>(inputs: fc.Arbitrary<Input>, attempt: (input: Input) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(inputs, attempt), {
    numRuns: 10_000_000,
    interruptAfterTimeLimit: (SECONDS * 1_000) / DOORS,
    timeout: HANG_MS,
    ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }),
  })
}

const timeout = (SECONDS * 1_000) / DOORS + 2 * HANG_MS

/**
 * Writes bytes as they are and reads until the other side has ended. What may be half a request is followed by our own end,
 * or the edge would rightly wait for the rest.
 */
function speak(bytes: string, { isWhole = false } = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      port: Number(new URL(platform.endpoints.gateway).port),
      host: '127.0.0.1',
      allowHalfOpen: true,
    })
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.once('end', () => socket.end())
    socket.once('close', () => resolve(answer))
    if (isWhole) socket.write(bytes, 'latin1')
    else socket.end(bytes, 'latin1')
  })
}

test(
  'the HTTP edge takes any bytes',
  async () => {
    const { attacker } = cast
    const piece = fc.oneof(
      fc.constantFrom(
        'GET',
        'POST',
        'OPTIONS',
        ' ',
        '  ',
        '\t',
        '/rest/v1/notes',
        '*',
        'http://a/',
        'HTTP/1.1',
        'HTTP/1.0',
        'HTTP/2.0',
        '\r\n',
        '\n',
        '\r',
        '\r\n\r\n',
        '\0',
        '\xff',
      ),
      fc.constantFrom(
        'Host: ',
        `Host: ${attacker.name}.localhost\r\n`,
        `apikey: ${attacker.keys.anon}\r\n`,
        'Content-Length: 5\r\n',
        'Content-Length: -1\r\n',
        'Content-Length: 99999999999999999999\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Connection: close\r\n',
        'Connection: upgrade\r\nUpgrade: websocket\r\n',
        'Upgrade: h2c\r\n',
        'Expect: 100-continue\r\n',
        '5\r\nhello\r\n',
        '0\r\n\r\n',
        'ffffffffffffffff\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01',
      ),
      fc.string({ maxLength: 20 }),
    )
    const head = fc.constantFrom(
      '',
      `GET /rest/v1/notes HTTP/1.1\r\nHost: ${attacker.name}.localhost\r\n`,
      `POST /rest/v1/notes HTTP/1.1\r\nHost: ${attacker.name}.localhost\r\napikey: ${attacker.keys.anon}\r\n`,
    )
    await fuzz(fc.tuple(head, fc.array(piece, { maxLength: 20 })), async ([start, pieces]) => {
      const answer = await speak(start + pieces.join(''))
      expect(answer).toMatch(/^(?:$|HTTP\/1\.1 [1-4]\d\d )/)
      expect(answer).not.toMatch(/^HTTP\/1\.1 5/m)
    })
  },
  timeout,
)

test(
  'the grammar of /rest/v1 takes any text',
  async () => {
    const { attacker } = cast
    const token = fc.oneof(
      fc.constantFrom(
        'select',
        'order',
        'or',
        'and',
        'not.or',
        'id',
        'title',
        'meta',
        'comments',
        'notes',
        'on_conflict',
        'columns',
        'limit',
        'offset',
      ),
      fc.constantFrom(
        '=',
        '&',
        '(',
        ')',
        ',',
        '.',
        ':',
        '::',
        '!',
        '->',
        '->>',
        '"',
        '*',
        '...',
        '\\',
        '{',
        '}',
        '%00',
        '%',
        '%ff',
        '+',
        ';',
      ),
      fc.constantFrom(
        'eq',
        'in',
        'is',
        'fts',
        'cs',
        'ov',
        'sl',
        'like',
        'any',
        'all',
        'null',
        'true',
        'count()',
        'sum()',
        'int4',
        'text',
        'desc',
        'nullsfirst',
        'inner',
        '1',
        '-1',
        '1e999',
        '9'.repeat(30),
      ),
      fc.string({ maxLength: 6 }).map((text) => encodeURIComponent(text.toWellFormed())),
    )
    const method = fc.constantFrom('GET', 'HEAD', 'DELETE', 'PATCH', 'POST', 'PUT')
    const body = fc.oneof(fc.json(), fc.string(), fc.constantFrom('{"title":"x"}', '[]', '[{}]', '[1]', 'null'))
    const path = fc.constantFrom('notes', 'comments', 'rpc/f', '')
    await fuzz(fc.tuple(method, path, fc.array(token, { maxLength: 16 }), body), async ([verb, name, tokens, text]) => {
      const answer = await platform.call(
        attacker.name,
        `/rest/v1/${name}?id=eq.0&${tokens.join('').replace(/[\s#]/g, '')}`,
        {
          key: attacker.keys.service,
          method: verb,
          ...(verb === 'GET' || verb === 'HEAD' ? {} : { body: text }),
        },
      )
      expect(answer.status, answer.text).toBeLessThan(500)
      expect(answer.text).not.toContain('tenant_id')
    })
  },
  timeout,
)

test(
  'the Phoenix protocol takes any frame',
  async () => {
    const { attacker } = cast
    const open = (version: string) =>
      new WebSocket(
        `${platform.endpoints.gateway.replace('http', 'ws')}/realtime/v1/websocket?vsn=${version}&apikey=${attacker.keys.anon}`,
        { headers: { host: `${attacker.name}.localhost` } },
      )
    const event = fc.constantFrom(
      'phx_join',
      'phx_leave',
      'heartbeat',
      'broadcast',
      'presence',
      'access_token',
      'phx_reply',
      '',
    )
    const topic = fc.oneof(fc.constantFrom('realtime:a', 'phoenix', 'realtime:', ''), fc.string())
    const field = fc.oneof(
      fc.json().map((text) => JSON.parse(text) as unknown),
      fc.string(),
      fc.constant(null),
    )
    const frame = fc.oneof(
      fc
        .record({ topic, event, payload: field, ref: field, join_ref: field })
        .map((message) => JSON.stringify(message)),
      fc.tuple(field, field, topic, event, field).map((message) => JSON.stringify(message)),
      fc.json(),
      fc.string(),
      fc.uint8Array({ maxLength: 60 }),
    )
    const version = fc.constantFrom('1.0.0', '2.0.0')
    await fuzz(fc.tuple(version, fc.array(frame, { minLength: 1, maxLength: 20 })), async ([vsn, frames]) => {
      const socket = open(vsn)
      const closed = new Promise<number>((resolve) => socket.once('close', resolve))
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
      for (const data of frames) socket.send(data)
      socket.close()
      const code = await closed
      // 1006 and 1011 would say that the server broke.
      expect([1_000, 1_002, 1_003, 1_005, 1_007, 1_008, 1_009]).toContain(code)
    })
  },
  timeout,
)

test(
  'keys take any text',
  async () => {
    const { attacker } = cast
    const printable = fc.stringMatching(/^[!-~]{0,80}$/)
    const key = fc.oneof(
      printable,
      fc
        .tuple(
          fc.constantFrom('aero_anon_', 'aero_service_', 'aero_platform_', 'eyJhbGciOiJub25lIn0.', 'Bearer '),
          printable,
        )
        .map((parts) => parts.join('')),
      fc
        .tuple(printable, printable, printable)
        .map((parts) => parts.map((part) => Buffer.from(part).toString('base64url')).join('.')),
      fc.json().map((head) => `${Buffer.from(head).toString('base64url')}.e30.AAAA`),
    )
    await fuzz(
      fc.tuple(key, fc.constantFrom('apikey', 'authorization'), fc.constantFrom(attacker.name, 'control')),
      async ([text, header, host]) => {
        const value = header === 'apikey' ? text : `Bearer ${text}`
        const answer = await platform.call(host, host === 'control' ? '/v1/tenants' : '/rest/v1/notes', {
          headers: { [header]: value },
        })
        expect(answer.status, text).toBeGreaterThanOrEqual(400)
        expect(answer.status, text).toBeLessThan(500)
      },
    )
  },
  timeout,
)

test(
  'hosts take any text',
  async () => {
    const { attacker } = cast
    const label = fc.oneof(
      fc.constantFrom(attacker.name, 'control', 'localhost', 'xn--a', '127.0.0.1', '[::1]'),
      fc.stringMatching(/^[!-~]{0,70}$/),
    )
    await fuzz(fc.array(label, { maxLength: 6 }), async (labels) => {
      const host = labels.join('.')
      const answer = await speak(`GET /v1/tenants HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, {
        isWhole: true,
      })
      expect(answer, host).toMatch(/^HTTP\/1\.1 4\d\d /)
    })
  },
  timeout,
)

test(
  'PATCH of a tenant, and what makes a collection, take any body',
  async () => {
    const { attacker } = cast
    const value = fc.oneof(
      fc.json().map((text) => JSON.parse(text) as unknown),
      fc.constantFrom(null, 'free', 'active', 'schema', -1, 1e308, [], {}, '__proto__'),
    )
    const patch = fc.oneof(
      fc.dictionary(
        fc.constantFrom('quotas', 'backend', 'name', 'tenant_id', '__proto__', 'constructor', 'usage'),
        value,
      ),
      fc.record({
        quotas: fc.dictionary(
          fc.constantFrom('storage_bytes', 'requests_per_second', 'x', '__proto__'),
          fc.constantFrom(-1, 1e308, 'x', null, [], {}),
        ),
      }),
      fc.json(),
    )
    const type = fc.constantFrom(
      'application/json',
      'application/merge-patch+json',
      'text/plain',
      'application/json; charset=utf-16',
    )
    await fuzz(fc.tuple(patch, type, fc.boolean()), async ([body, contentType, isControl]) => {
      const headers = { 'content-type': contentType }
      const answer = isControl
        ? await platform.control(`/v1/tenants/${cast.victim.tenant_id}`, { method: 'PATCH', body, headers })
        : await platform.call(attacker.name, '/schema/v1/collections', {
            method: 'POST',
            key: attacker.keys.service,
            body,
            headers,
          })
      expect(answer.status, `${JSON.stringify(body)} ${answer.text}`).toBeLessThan(500)
    })
  },
  timeout,
)

test('and after all of it the same processes serve, and none has grown', async () => {
  const after = await memoryOfProcesses()
  expect([...after.keys()]).toEqual([...before.keys()])
  for (const [pid, bytes] of after)
    expect(bytes - (before.get(pid) ?? 0), `process ${pid}`).toBeLessThan(MAX_GROWTH_BYTES)
  const { attacker } = cast
  const rows = await platform.call(attacker.name, `/rest/v1/notes?title=eq.${attacker.canary}&select=title`, {
    key: attacker.keys.service,
  })
  expect(rows.json).toEqual([{ title: attacker.canary }])
})
