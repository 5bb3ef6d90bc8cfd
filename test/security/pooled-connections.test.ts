import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import type pg from 'pg'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { TestPlatform } from '../support/platform.ts'
import { makeTestTls, type TestTls } from '../support/tls.ts'
import { asAdminOf, type Cast, DEGREES, type Degree, type Party, startCasts } from './cast.ts'

/**
 * What one request leaves on a connection that the next one shares: a client's connection over which many hosts are asked
 * (HTTP/2), and a session of the database in which a statement was cancelled, failed, timed out or lost its client.
 */
let tls: TestTls
let platform: TestPlatform
let casts: Map<Degree, Cast>

beforeAll(async () => {
  tls = await makeTestTls()
  ;({ platform, casts } = await startCasts(DEGREES, tls.env))
}, 120_000)

afterAll(async () => {
  await platform?.close()
  await tls?.remove()
})

const eachDegree = test.each(DEGREES.map((degree) => [degree] as const))

function castOf(degree: Degree): Cast {
  const cast = casts.get(degree)
  if (cast === undefined) throw new Error(`Nobody is cast for ${degree}`)
  return cast
}

/** One HTTP/2 connection, as a browser keeps for all hosts that the certificate is for (RFC 9113 9.1.1). */
function openSession(): ClientHttp2Session {
  const session = connectHttp2(`https://any.localhost:${tls.port}`, {
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port: tls.port,
        servername: 'any.localhost',
        ALPNProtocols: ['h2'],
        rejectUnauthorized: false,
      }),
  })
  session.on('error', () => {})
  return session
}

type Answer = { status: number; text: string }

/** One stream; with `giveUpMs` it is reset then, and whatever came is told. */
function ask(session: ClientHttp2Session, headers: Record<string, string>, giveUpMs?: number): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/rest/v1/notes?select=title', ...headers })
    const answer = { status: 0, text: '' }
    stream.on('response', (fields) => {
      answer.status = Number(fields[':status'])
    })
    stream.on('data', (chunk: Buffer) => {
      answer.text += chunk.toString()
    })
    stream.on('error', () => {})
    stream.once('close', () => resolve(answer))
    if (giveUpMs !== undefined) setTimeout(() => stream.close(8), giveUpMs)
  })
}

const authorityOf = (party: Party) => `${party.name}.${platform.endpoints.domain}`
const ownRow = (party: Party) => ({ status: 200, text: JSON.stringify([{ title: party.canary }]) })

eachDegree('%s: on one HTTP/2 connection the authority of each stream decides, and nothing else', async (degree) => {
  const { victim, attacker } = castOf(degree)
  const session = openSession()
  try {
    const streams = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? victim : attacker))
    const answers = await Promise.all(
      streams.map((party, i) =>
        ask(
          session,
          { ':authority': authorityOf(party), apikey: party.keys.service },
          // Some are reset in the middle: what comes after them on the connection is looked at as well.
          i % 6 === 5 ? i % 4 : undefined,
        ),
      ),
    )
    answers.forEach((answer, i) => {
      const party = streams[i] as Party
      if (i % 6 !== 5) expect([i, answer]).toEqual([i, ownRow(party)])
      else expect(answer.text).not.toContain((party === victim ? attacker : victim).canary)
    })
    const [full, own] = [authorityOf(victim), authorityOf(attacker)]
    const mine = { apikey: attacker.keys.service }
    // Against the protocol (RFC 9113 8.3.1): the stream is reset before anybody reads it, or refused.
    for (const malformed of [
      { ':authority': `${attacker.name}@${full}` },
      { ':authority': own, ':path': `https://${full}/rest/v1/notes` },
    ])
      expect([0, 400]).toContain((await ask(session, { ...mine, ...malformed })).status)
    for (const [what, headers, status] of [
      ['its authority', { ':authority': full }, 401],
      ['in capitals', { ':authority': full.toUpperCase() }, 401],
      ['with a dot', { ':authority': `${full}.` }, 401],
      ['with a port', { ':authority': `${full}:${tls.port}` }, 401],
      ['Host beside another authority', { ':authority': own, host: full }, 400],
      ['authority beside another Host', { ':authority': full, host: own }, 400],
      ['a list', { ':authority': `${own},${full}` }, 400],
      ['another scheme', { ':authority': full, ':scheme': 'http' }, 401],
      ['a forwarded host', { ':authority': own, 'x-forwarded-host': full }, 200],
    ] as const) {
      const answer = await ask(session, { ...mine, ...headers })
      expect([what, answer.status, answer.text.includes(victim.canary)]).toEqual([what, status, false])
      // The connection goes on, for its own tenant.
      expect(await ask(session, { ...mine, ':authority': own })).toEqual(ownRow(attacker))
    }
  } finally {
    session.destroy()
  }
})

/** Reads of both parties over one pool, all at once; each gets its own row, whatever happened in the sessions before. */
async function expectOwnRows({ victim, attacker }: Cast): Promise<void> {
  const reads = Array.from({ length: 60 }, async (_, i) => {
    const party = i % 2 === 0 ? victim : attacker
    const key = i % 3 === 0 ? party.keys.anon : party.keys.service
    const answer = await platform.call(party.name, '/rest/v1/notes?select=title', { key })
    expect([answer.status, answer.json]).toEqual([200, [{ title: party.canary }]])
  })
  await Promise.all(reads)
}

/** Sessions of the backends at the server that stand in a transaction. */
const IN_TRANSACTION = `from pg_stat_activity where application_name = 'aerodb-backend' and xact_start is not null`

eachDegree(
  '%s: statements that are cancelled, ended, timed out or left by their client leave nothing to who comes next',
  async (degree) => {
    const cast = castOf(degree)
    const { attacker } = cast
    const agent = new Agent({ connections: 8 })
    const write = (signal?: AbortSignal) =>
      request(`${platform.endpoints.gateway}/rest/v1/notes?id=eq.1`, {
        method: 'PATCH',
        headers: {
          host: authorityOf(attacker),
          apikey: attacker.keys.service,
          'content-type': 'application/json',
          prefer: 'return=representation',
        },
        body: '{"meta":{"left":"behind"}}',
        dispatcher: agent,
        ...(signal === undefined ? {} : { signal }),
      }).then(
        async ({ statusCode, body }) => `${statusCode} ${await body.text()}`,
        (fault: Error) => fault.name,
      )
    const waiting = (admin: pg.Client) =>
      vi.waitFor(
        async () =>
          expect(
            (await admin.query(`select count(*)::int as n ${IN_TRANSACTION} and wait_event_type = 'Lock'`)).rows[0]?.n,
          ).toBeGreaterThan(0),
        { timeout: 8_000, interval: 20 },
      )
    try {
      // The one that locks sees pg_stat_activity as it was when its transaction began: another looks.
      await asAdminOf(platform, attacker, degree, (locker) =>
        asAdminOf(platform, attacker, degree, async (admin) => {
          // Timing out takes its ten seconds, the same on every degree.
          const ways = ['pg_cancel_backend', 'pg_terminate_backend', 'client gone'] as const
          for (const disturb of degree === 'schema' ? [...ways, 'timeout' as const] : ways) {
            await locker.query(`begin; lock table ${attacker.schema}.notes in access exclusive mode`)
            const clients = [new AbortController(), new AbortController()]
            const asked = clients.map(({ signal }) => write(signal))
            // A transaction stands in the middle, with its role and context set, and maybe another behind it on its session.
            await waiting(admin)
            if (disturb === 'client gone') for (const client of clients) client.abort()
            else if (disturb !== 'timeout')
              await admin.query(`select ${disturb}(pid) ${IN_TRANSACTION} and wait_event_type = 'Lock'`)
            const answers = await Promise.all(asked)
            for (const answer of answers) {
              expect([disturb, answer]).toEqual([disturb, expect.stringMatching(/^(?:[45]\d\d |AbortError$)/)])
              expect(answer).not.toContain(cast.victim.canary)
            }
            await locker.query('rollback')
            await vi.waitFor(async () => {
              const { rows } = await admin.query(`select count(*)::int as n ${IN_TRANSACTION}`)
              expect(rows).toEqual([{ n: 0 }])
            })
            await expectOwnRows(cast)
          }
          // Nothing of the locks, channels or tables of one who was disturbed is left, and no change was half made.
          const { rows } = await admin.query(
            `select (select count(*)::int from pg_locks where locktype = 'advisory' and pid in (select pid from pg_stat_activity where application_name = 'aerodb-backend')) as locks,
             (select count(*)::int from pg_class where relpersistence = 't') as temporary`,
          )
          expect(rows).toEqual([{ locks: 0, temporary: 0 }])
        }),
      )
    } finally {
      await agent.destroy()
    }
  },
  120_000,
)
