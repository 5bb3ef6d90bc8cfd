import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeKey } from '../../tenancy/key.ts'
import type { CallOptions, TestPlatform } from '../support/platform.ts'
import { type Cast, callAs, DEGREES, type Degree, ROLES, startCasts, textOf } from './cast.ts'
import { guesses, requestAttacks } from './request-attacks.ts'
import { SQL_ATTACKS } from './sql-attacks.ts'
import { expectSameTime } from './timing.ts'

/** A tenant with all that it may hold against another of its degree, through the gateway of a whole platform. */
let platform: TestPlatform
let casts: Map<Degree, Cast>

beforeAll(async () => {
  ;({ platform, casts } = await startCasts())
}, 120_000)

afterAll(() => platform?.close())

function castOf(degree: Degree): Cast {
  const cast = casts.get(degree)
  if (cast === undefined) throw new Error(`Nobody is cast for ${degree}`)
  return cast
}

/** The victim's rows and file are as it left them, and nothing was put beside them. */
async function expectUntouched({ victim }: Cast): Promise<void> {
  const key = victim.keys.service
  const rows = await platform.call(victim.name, '/rest/v1/notes?select=title,meta', { key })
  expect(rows.json).toEqual([{ title: victim.canary, meta: { secret: victim.canary } }])
  expect((await platform.call(victim.name, '/storage/v1/object/private/secret.txt', { key })).text).toBe(victim.canary)
  const collections = await platform.call(victim.name, '/schema/v1/collections', { key })
  expect(collections.json.data.map(({ name }: { name: string }) => name).sort()).toEqual(['comments', 'notes'])
}

describe.each(DEGREES)('%s', (degree) => {
  test.each(ROLES)(
    'no request with what a %s user holds reads, changes or names the other tenant',
    async (role) => {
      const cast = castOf(degree)
      const { attacker, victim } = cast
      for (const { what, path, options = {} } of requestAttacks(victim)) {
        const answer = await callAs(platform, attacker, role, path, options)
        const seen = { what, path, options, status: answer.status, text: answer.text }
        expect(answer.status, JSON.stringify(seen)).toBeLessThan(500)
        expect(textOf(answer), JSON.stringify(seen)).not.toContain(victim.canary)
        // An error may repeat what was asked, a success never holds the name of anything of the victim's.
        if (answer.status < 300) expect(answer.text, JSON.stringify(seen)).not.toContain(victim.schema)
      }
      await expectUntouched(cast)
    },
    60_000,
  )

  test.each(ROLES)('no answer to a %s user tells a right guess from a wrong one', async (role) => {
    const cast = castOf(degree)
    for (const { what, right, wrong, attack } of guesses(cast.victim)) {
      const [one, other] = await Promise.all(
        [right, wrong].map(async (guess) => {
          const { path, options } = attack(guess)
          const answer = await callAs(platform, cast.attacker, role, path, options ?? {})
          const body = answer.text.replaceAll(guess, 'GUESS').replace(/"request_id":"[^"]*"|"instance":"[^"]*"/g, '')
          return [answer.status, answer.headers['content-range'], body]
        }),
      )
      expect(one, what).toEqual(other)
      // What it could write is its own, and must not answer the next guess.
      const guessed = `/rest/v1/notes?title=in.(${cast.victim.canary},${wrong})`
      await callAs(platform, cast.attacker, 'service', guessed, { method: 'DELETE' })
    }
    await expectUntouched(cast)
  })

  test('the time that an answer takes does not tell what the other tenant has', async () => {
    const { attacker, victim } = castOf(degree)
    const as = (path: string, options?: CallOptions) => () => callAs(platform, attacker, 'service', path, options)
    const key = (apikey: string) => () => platform.call(attacker.name, '/rest/v1/notes', { headers: { apikey } })
    await expectSameTime("a key of the victim's, or of nobody", key(victim.keys.service), key(makeKey('service')))
    for (const { what, right, wrong, attack } of guesses(victim)) {
      const [one, other] = [attack(right), attack(wrong)]
      // What writes would grow with each guess.
      if (one.options?.body !== undefined) continue
      await expectSameTime(what, as(one.path, one.options), as(other.path, other.options))
    }
    const grant = (id: string) => as(`/platform/v1/access-grants/${id}/approve`, { method: 'POST' })
    const asked = await platform.control(`/v1/tenants/${victim.tenant_id}/access-grants`, {
      body: { reason: 'timing', minutes: 5 },
    })
    const id = asked.json.grant_id as string
    await expectSameTime('an access grant', grant(id), grant(`${id.slice(0, -4)}0000`))
  }, 120_000)

  test('SQL of its own, where it has it, reaches nothing outside and leaves nothing for who comes next', async () => {
    const cast = castOf(degree)
    const { attacker, victim } = cast
    const run = (query: string) => callAs(platform, attacker, 'service', '/sql/v1', { body: { query } })
    if (degree === 'schema') {
      expect((await run('select 1')).json.code).toBe('sql_not_available')
      return
    }
    for (const role of ['anon', 'authenticated'] as const)
      expect((await callAs(platform, attacker, role, '/sql/v1', { body: { query: 'select 1' } })).status).toBe(403)
    for (const { query, isRefused } of SQL_ATTACKS(victim)) {
      const answer = await run(query)
      if (isRefused) expect([query, answer.status, answer.text]).toEqual([query, 400, expect.anything()])
      else expect([query, answer.status < 500 || answer.status === 504]).toEqual([query, true])
      expect(textOf(answer), query).not.toContain(victim.canary)
      if (!query.includes(victim.schema)) expect(answer.text, query).not.toContain(victim.schema)
    }
    const left = await run(
      `select current_setting('app.tenant_id') as tenant, current_user::text as who, (select count(*)::int from pg_listening_channels()) as channels`,
    )
    expect(left.json.rows[0]).toMatchObject({ tenant: attacker.tenant_id, channels: 0 })
    // What it did to itself broke nothing of what others see.
    await expectUntouched(cast)
  }, 60_000)
})
