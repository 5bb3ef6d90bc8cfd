import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RedisServer } from '../runtime/redis-server.ts'
import { parseForwarded } from './forwarded.ts'
import { GatewayProcess } from './testing/gateway-process.ts'
import { startRedisWith } from './testing/redis-with.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

const tenant = makeTenant('hops')
const backend = new StubUpstream('from-gateway')
let redisServer: RedisServer
const gateways: GatewayProcess[] = []
let trusting: GatewayProcess
let trustingStandard: GatewayProcess

beforeAll(async () => {
  redisServer = await startRedisWith(tenant)
  const env = {
    AERODB_REDIS_URL: redisServer.url,
    AERODB_BACKEND_URLS: await backend.start(),
    AERODB_GATEWAY_WORKERS: '1',
    AERODB_GATEWAY_TRUSTED_PROXIES: '127.0.0.0/8, 2001:db8:ffff::/48',
  }
  const write = { AERODB_GATEWAY_TRUSTED_PROXIES_WRITE: 'forwarded' }
  gateways.push(...(await Promise.all([GatewayProcess.start(env), GatewayProcess.start({ ...env, ...write })])))
  const [first, second] = gateways
  if (first === undefined || second === undefined) throw new Error('unreachable')
  trusting = first
  trustingStandard = second
})

afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()))
  await Promise.all([backend.stop(), redisServer.stop()])
})

/** What the backend was told of a request that came with `fields`; fields may stand twice, and hold what clients refuse to send. */
async function told(gateway: GatewayProcess, fields: readonly string[], host = 'hops.localhost') {
  backend.seen.length = 0
  await new Promise<void>((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write(
      `GET /rest/v1/t HTTP/1.1\r\nHost: ${host}\r\napikey: ${tenant.anonKey}\r\nConnection: close\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`,
      'latin1',
    )
    socket.resume()
    socket.once('close', () => resolve())
    socket.once('error', reject)
  })
  const seen = backend.seen[0]
  const forwarded = seen?.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]?.toLowerCase() === 'forwarded')
  return {
    forwarded,
    for: seen?.headers['x-forwarded-for'],
    proto: seen?.headers['x-forwarded-proto'],
  }
}

const HOST = ';host=hops.localhost;proto=http'

describe('Forwarded', () => {
  test('a trusted proxy is believed: IPv6 is quoted, ports go, and the chain is the same in both fields', async () => {
    expect(await told(trusting, ['Forwarded: for="[2001:DB8::17]:4711";proto=https;host=x.test'])).toEqual({
      forwarded: ['for="[2001:DB8::17]";host=hops.localhost;proto=https, for=127.0.0.1'],
      for: '2001:DB8::17, 127.0.0.1',
      proto: 'https',
    })
    expect(await told(trusting, ['X-Forwarded-For: 2001:db8::17', 'X-Forwarded-Proto: https'])).toEqual({
      forwarded: ['for="[2001:db8::17]";host=hops.localhost;proto=https, for=127.0.0.1'],
      for: '2001:db8::17, 127.0.0.1',
      proto: 'https',
    })
  })

  test('a Host with a port is quoted', async () => {
    expect((await told(trusting, [], 'hops.localhost:8080')).forwarded).toEqual([
      'for=127.0.0.1;host="hops.localhost:8080";proto=http',
    ])
  })

  test('it is read from the right, over the lines of the field, for as long as a trusted proxy has written it', async () => {
    expect(
      await told(trusting, [
        'Forwarded: for=6.6.6.6, for=192.0.2.60 ; proto=http',
        'Forwarded: FOR="[2001:db8:ffff::1]";by=203.0.113.43',
      ]),
    ).toEqual({
      forwarded: [`for=192.0.2.60${HOST}, for="[2001:db8:ffff::1]", for=127.0.0.1`],
      for: '192.0.2.60, 2001:db8:ffff::1, 127.0.0.1',
      proto: 'http',
    })
  })

  test.each(['_gazonk', 'unknown', '"_SEVKISEK:_port"'])(
    'whom a trusted proxy hides as %s stays hidden, and nobody behind is believed',
    async (name) => {
      const plain = name.replaceAll('"', '').split(':')[0]
      expect(await told(trusting, [`Forwarded: for=6.6.6.6, for=${name}`])).toEqual({
        forwarded: [`for=${plain}${HOST}, for=127.0.0.1`],
        for: '127.0.0.1',
        proto: 'http',
      })
    },
  )

  test.each([
    ['no value', ''],
    ['an open quote', 'for="1.2.3.4'],
    ['a quote in the middle', 'for=1.2.3.4";host="evil'],
    ['two for', 'for=1.2.3.4;for=5.6.7.8'],
    ['an IPv6 address without brackets', 'for="2001:db8::1"'],
    ['an address that is none', 'for=999.1.1.1'],
    ['a name that is not hidden', 'for=evil.test'],
    ['a port that is none', 'for="1.2.3.4:99999999"'],
    ['an element with nothing', 'for=1.2.3.4,,'],
    ['another field smuggled in', 'for="1.2.3.4\\"; x-aerodb-context=forged"'],
    ['bytes above ASCII', 'for="\xff\xfe"'],
    ['a thousand hops', Array(1_000).fill('for=127.0.0.1').join(',')],
  ])('%s tells nothing: the peer is who asks', async (_name, value) => {
    expect(await told(trusting, [`Forwarded: ${value}`])).toEqual({
      forwarded: [`for=127.0.0.1${HOST}`],
      for: '127.0.0.1',
      proto: 'http',
    })
  })

  test('where both fields came X-Forwarded-For counts, unless the proxies are said to write the other', async () => {
    const both = ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https', 'Forwarded: for=192.0.2.2']
    expect((await told(trusting, both)).for).toBe('192.0.2.1, 127.0.0.1')
    expect(await told(trustingStandard, both)).toMatchObject({ for: '192.0.2.2, 127.0.0.1', proto: 'http' })
    expect(await told(trustingStandard, both.slice(0, 2))).toMatchObject({ for: '127.0.0.1', proto: 'http' })
  })

  test('whatever it holds, it is read or refused in time that grows with its length', () => {
    const part = fc.constantFrom('for=', '"', '\\', '[::1]', '1.2.3.4', ';', ',', ' ', '=', 'proto=https', '_x', ':80')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        for (const element of parseForwarded(parts.join('')) ?? [])
          expect(element.for?.name ?? 'unknown').toMatch(/^(?:unknown|_[\w.-]+|[0-9A-Fa-f:.]+)$/i)
      }),
      { numRuns: 2_000 },
    )
  })
})
