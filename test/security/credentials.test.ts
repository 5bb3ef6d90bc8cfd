import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { TestPlatform } from '../support/platform.ts'
import { type Cast, callAs, DEGREES, type Degree, makeParty, type Party, signFor, startCasts, textOf } from './cast.ts'

/** Keys, tokens, hosts, signed URLs and sockets of one tenant, tried on another through the gateway. */
let platform: TestPlatform
let casts: Map<Degree, Cast>

beforeAll(async () => {
  ;({ platform, casts } = await startCasts())
}, 120_000)

afterAll(() => platform?.close())

const eachDegree = test.each(DEGREES.map((degree) => [degree] as const))

function castOf(degree: Degree): Cast {
  const cast = casts.get(degree)
  if (cast === undefined) throw new Error(`Nobody is cast for ${degree}`)
  return cast
}

/** Every API of a tenant. */
const ADDRESSES = [
  '/rest/v1/notes',
  '/rest/v1/',
  '/schema/v1/collections',
  '/storage/v1/bucket',
  '/storage/v1/object/private/secret.txt',
  '/sql/v1',
  '/realtime/v1/api/broadcast',
  '/platform/v1/access-grants',
]

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with any head at all, signed (or not) by any secret. */
function forge(head: Record<string, unknown>, claims: Record<string, unknown>, secret: string | undefined): string {
  const body = `${encode(head)}.${encode(claims)}`
  const signature = secret === undefined ? '' : createHmac('sha256', secret).update(body).digest('base64url')
  return `${body}.${signature}`
}

eachDegree(
  "%s: no key or token of another tenant, and none that is forged, opens an address of the victim's",
  async (degree) => {
    const { victim, attacker } = castOf(degree)
    const claims = { role: 'service_role', sub: 'mallory' }
    const past = Math.floor(Date.now() / 1000) - 1
    const own = { alg: 'HS256', typ: 'JWT' }
    const credentials: Record<string, string> = {
      'its anon key': attacker.keys.anon,
      'its service key': attacker.keys.service,
      'its own token': await signFor(attacker, claims),
      'a platform key': platform.endpoints.platform_key,
      'a key with a letter changed': `${victim.keys.service.slice(0, -1)}${victim.keys.service.endsWith('a') ? 'b' : 'a'}`,
      'the other kind in a key': victim.keys.anon.replace('aero_anon_', 'aero_service_'),
      'alg none': forge({ alg: 'none' }, claims, undefined),
      'alg nOnE': forge({ alg: 'nOnE' }, claims, undefined),
      'no signature': forge(own, claims, undefined),
      'an empty secret': forge(own, claims, ''),
      'the anon key as secret': forge(own, claims, victim.keys.anon),
      'the tenant id as secret': forge(own, claims, victim.tenant_id),
      'RS256 over an HMAC': forge({ alg: 'RS256' }, claims, victim.jwtSecret),
      'HS512 over SHA-256': forge({ alg: 'HS512' }, claims, victim.jwtSecret),
      'a kid that is a path': forge({ ...own, kid: '../../../../dev/null' }, claims, ''),
      'a kid that is SQL': forge({ ...own, kid: "' union select 'x" }, claims, 'x'),
      'a key in its head': forge({ ...own, jwk: { kty: 'oct', k: encode('x') } }, claims, 'x'),
      'a key address in its head': forge(
        { ...own, jku: 'http://127.0.0.1:1/jwks', x5u: 'http://127.0.0.1:1/x' },
        claims,
        'x',
      ),
      'a critical field': forge({ ...own, crit: ['exp2'], exp2: 1 }, claims, victim.jwtSecret),
      expired: forge(own, { ...claims, exp: past }, victim.jwtSecret),
      'not yet valid': forge(own, { ...claims, nbf: past + 3_600 }, victim.jwtSecret),
      'a time that is no number': forge(own, { ...claims, exp: 'never' }, victim.jwtSecret),
      'a role of the server': forge(own, { role: 'postgres' }, victim.jwtSecret),
      'a role of another tenant': forge(own, { role: attacker.schema }, victim.jwtSecret),
      'many roles': forge(own, { role: ['anon', 'service_role'] }, victim.jwtSecret),
      'no role': forge(own, { sub: 'x' }, victim.jwtSecret),
      'a body that is no JSON': `${encode(own)}.e30x.${createHmac('sha256', victim.jwtSecret)
        .update(`${encode(own)}.e30x`)
        .digest('base64url')}`,
    }
    for (const [what, credential] of Object.entries(credentials)) {
      for (const path of ADDRESSES) {
        const headersOf = [
          { authorization: `Bearer ${credential}` },
          { apikey: credential },
          { apikey: victim.keys.anon, authorization: `Bearer ${credential}` },
        ]
        for (const headers of headersOf) {
          const answer = await platform.call(victim.name, path, { headers })
          expect([what, path, answer.status]).toEqual([what, path, 401])
          expect(textOf(answer), what).not.toContain(victim.canary)
        }
      }
    }
    const good = await platform.call(victim.name, '/rest/v1/notes', { key: await signFor(victim, claims) })
    expect([good.status, good.json.length]).toEqual([200, 1])
  },
  60_000,
)

test('issuer and audience of a token count once the tenant has set them, at every worker', async () => {
  const party = await makeParty(platform, 'audience', 'schema')
  const jwt = { secret: party.jwtSecret, audience: 'app', issuer: 'https://issuer.example' }
  await platform.control(`/v1/tenants/${party.tenant_id}/jwt`, { method: 'PUT', body: jwt })
  const read = async (claims: Record<string, unknown>) =>
    (
      await platform.call(party.name, '/rest/v1/notes', {
        key: await signFor(party, claims),
        headers: { connection: 'close' },
      })
    ).status
  const right = { aud: 'app', iss: 'https://issuer.example' }
  for (const [claims, status] of [
    [right, 200],
    [{ ...right, aud: 'other' }, 401],
    [{ ...right, iss: 'https://other.example' }, 401],
    [{}, 401],
  ] as const)
    await vi.waitFor(async () => expect(await read(claims), JSON.stringify(claims)).toBe(status), {
      timeout: 5_000,
    })
})

test.each([
  'http://127.0.0.1:9/jwks',
  'http://localhost/jwks',
  'http://169.254.169.254/latest/meta-data',
  'http://[::1]/jwks',
  'http://[::ffff:10.0.0.1]/jwks',
  'http://2130706433/jwks',
  'http://0x7f.1/jwks',
  'http://10.1.2.3/jwks',
  'file:///etc/passwd',
  'gopher://127.0.0.1/',
])('a JWKS at %s is never asked for', async (url) => {
  const { attacker } = castOf('schema')
  const answer = await platform.control(`/v1/tenants/${attacker.tenant_id}/jwt`, {
    method: 'PUT',
    body: { jwks_url: url },
  })
  expect([url, answer.status]).toEqual([url, 400])
})

eachDegree('%s: whatever form the host has, its tenant decides', async (degree) => {
  const { victim, attacker } = castOf(degree)
  const { domain, gateway } = platform.endpoints
  const full = `${victim.name}.${domain}`
  for (const host of [full, full.toUpperCase(), `${full}.`, `${full}:${new URL(gateway).port}`, `${full}:1`]) {
    const answer = await platform.call(attacker.name, '/rest/v1/notes', {
      key: attacker.keys.service,
      headers: { host },
    })
    expect([host, answer.status, answer.text.includes(victim.canary)]).toEqual([host, 401, false])
  }
  for (const host of [
    `xn--${victim.name}.${domain}`,
    `${victim.name}.${domain}.example.org`,
    `x.${full}`,
    `${attacker.name}.${full}`,
    domain,
    `${attacker.schema.slice(2)}.${domain}`,
  ]) {
    const answer = await platform.call(attacker.name, '/rest/v1/notes', {
      key: attacker.keys.service,
      headers: { host },
    })
    expect([host, answer.status]).toEqual([host, 404])
  }
})

test('on one connection, requests of many tenants and roles each get their own tenant’s rows', async () => {
  const agent = new Agent({ connections: 1, pipelining: 1 })
  const parties = [...casts.values()].flatMap(({ victim, attacker }) => [victim, attacker])
  try {
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const party = parties[i % parties.length] as Party
        const key = i % 3 === 0 ? party.keys.anon : party.keys.service
        // Every seventh is an error, so that what comes after one is looked at as well.
        const path = i % 7 === 0 ? '/rest/v1/notes?id=eq.x' : '/rest/v1/notes?select=title'
        const answer = await platform.call(party.name, path, { key, agent })
        expect([answer.status, answer.json]).toMatchObject(
          i % 7 === 0 ? [400, { code: '22P02' }] : [200, [{ title: party.canary }]],
        )
      }),
    )
  } finally {
    await agent.close()
  }
})

eachDegree('%s: a signed URL opens its own file of its own tenant, wherever it is moved', async (degree) => {
  const { victim, attacker } = castOf(degree)
  const sign = async (party: Party) => {
    const answer = await callAs(platform, party, 'service', '/storage/v1/object/sign/private/secret.txt', {
      body: { expiresIn: 60 },
    })
    return answer.json.signedURL as string
  }
  const [theirs, mine] = [await sign(victim), await sign(attacker)]
  const open = (party: Party, url: string) => platform.call(party.name, `/storage/v1${url}`)
  expect((await open(victim, theirs)).text).toBe(victim.canary)
  const token = (url: string) => url.slice(url.indexOf('token='))
  for (const answer of [
    await open(victim, mine),
    await open(attacker, theirs),
    await open(victim, `/object/sign/private/other.txt?${token(theirs)}`),
    await open(victim, `/object/sign/private/secret.txt/?${token(mine)}`),
    await open(victim, `/object/sign/private/secret.txt?${token(mine)}&${token(theirs)}`),
    await open(victim, `/object/sign/private/secret%2Etxt?${token(mine)}`),
  ])
    expect([answer.status >= 400 && answer.status < 500, answer.text.includes(victim.canary)]).toEqual([true, false])
  const put = await platform.call(victim.name, `/storage/v1/object/upload/sign/private/secret.txt?${token(theirs)}`, {
    method: 'PUT',
    body: 'x',
  })
  expect(put.status).toBe(400)
})

eachDegree(
  '%s: nobody hears or sees the other tenant in realtime, whatever topic is joined',
  async (degree) => {
    const { victim, attacker } = castOf(degree)
    const open = (host: string, key: string) =>
      new WebSocket(
        `${platform.endpoints.gateway.replace('http', 'ws')}/realtime/v1/websocket?vsn=1.0.0&apikey=${key}`,
        {
          headers: { host: `${host}.${platform.endpoints.domain}` },
        },
      )
    const refused = open(victim.name, attacker.keys.service)
    expect(
      await new Promise((resolve) => {
        refused.on('error', (fault) => resolve(fault.message))
        refused.once('open', () => resolve('opened'))
      }),
    ).toContain('401')

    const heard = { victim: '', attacker: '' }
    const sockets: WebSocket[] = []
    const topics = [
      'realtime:room',
      `realtime:${victim.tenant_id}:room`,
      `realtime:${victim.schema}`,
      'realtime:*',
      'realtime:#',
      'realtime:../room',
      `${victim.name}:room`,
    ]
    try {
      for (const [who, party] of [
        ['victim', victim],
        ['attacker', attacker],
      ] as const) {
        const socket = open(party.name, party.keys.service)
        sockets.push(socket)
        socket.on('message', (data) => {
          heard[who] += data.toString()
        })
        await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
        const changes = ['public', victim.schema, '*'].map((schema) => ({ event: '*', schema, table: 'notes' }))
        topics.forEach((topic, i) => {
          const config = {
            broadcast: { self: true },
            presence: { enabled: true, key: party.canary },
            postgres_changes: topic.includes('room') ? changes.slice(0, 1) : changes,
          }
          socket.send(
            JSON.stringify({ topic, event: 'phx_join', ref: String(i), join_ref: String(i), payload: { config } }),
          )
        })
        await vi.waitFor(() => expect(heard[who]).toMatch(/"topic":"realtime:room","event":"phx_reply"/))
        socket.send(
          JSON.stringify({
            topic: 'realtime:room',
            event: 'presence',
            ref: '90',
            join_ref: '0',
            payload: { type: 'presence', event: 'track', payload: { at: party.canary } },
          }),
        )
      }
      const message = { topic: 'room', event: 'shout', payload: { text: victim.canary }, private: false }
      expect(
        (await callAs(platform, victim, 'service', '/realtime/v1/api/broadcast', { body: { messages: [message] } }))
          .status,
      ).toBe(202)
      await callAs(platform, victim, 'service', '/rest/v1/notes?id=eq.1', {
        method: 'PATCH',
        body: { meta: { secret: victim.canary } },
      })
      await vi.waitFor(() => expect(heard.victim).toContain('shout'), { timeout: 10_000 })
      await vi.waitFor(() => expect(heard.attacker).toContain('presence'), { timeout: 10_000 })
      await sleep(500)
      expect(heard.attacker).not.toContain(victim.canary)
      expect(heard.victim).not.toContain(attacker.canary)
    } finally {
      for (const socket of sockets) socket.terminate()
    }
  },
  30_000,
)

eachDegree(
  '%s: a name given to another tenant brings nothing of the one who had it',
  async (degree) => {
    const name = `reborn-${degree}`
    const old = await makeParty(platform, name, degree)
    const signed = (
      await callAs(platform, old, 'service', '/storage/v1/object/sign/private/secret.txt', { body: { expiresIn: 600 } })
    ).json.signedURL
    const token = await signFor(old, { role: 'service_role' })
    const agent = new Agent({ connections: 1 })
    try {
      expect((await platform.call(name, '/rest/v1/notes', { key: old.keys.service, agent })).text).toContain(old.canary)
      expect((await platform.control(`/v1/tenants/${old.tenant_id}?purge=true`, { method: 'DELETE' })).status).toBe(202)
      await vi.waitFor(async () => expect((await platform.call(name, '/health', { agent })).status).toBe(404), {
        timeout: 60_000,
      })
      const next = await vi.waitFor(() => makeParty(platform, name, degree), { timeout: 120_000, interval: 500 })
      for (const key of [old.keys.service, old.keys.anon, token]) {
        const answer = await platform.call(name, '/rest/v1/notes', { key, agent })
        expect([answer.status, answer.text.includes(next.canary)]).toEqual([401, false])
      }
      const rows = await platform.call(name, '/rest/v1/notes?select=title', { key: next.keys.service, agent })
      expect(rows.json).toEqual([{ title: next.canary }])
      const replayed = await platform.call(name, `/storage/v1${signed}`, { agent })
      expect([replayed.status, replayed.text.includes('canary-')]).toEqual([400, false])
      const usage = await platform.usage(next)
      expect(usage.json.tenant_id).toBe(next.tenant_id)
    } finally {
      await agent.close()
    }
  },
  240_000,
)
