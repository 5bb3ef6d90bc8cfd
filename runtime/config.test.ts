import { expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError, domainName, flag, port, readConfig, secret, secretList, urlList, wholeNumber } from './config.ts'

const schema = z.object({
  A_PORT: port.default(8080),
  A_SECRET: secret,
  A_SECRETS: secretList.optional(),
  A_FLAG: flag.default(false),
  A_URLS: urlList('redis:', 'rediss:').optional(),
  A_COUNT: wholeNumber(1, 10).optional(),
  A_DOMAIN: domainName.default('localhost'),
})

const good = { A_SECRET: 's'.repeat(32) }

function violations(env: Record<string, string>): readonly string[] {
  try {
    readConfig(schema, env)
  } catch (fault) {
    if (fault instanceof ConfigError) return fault.violations
    throw fault
  }
  return []
}

test('unset and empty values take their default', () => {
  expect(readConfig(schema, { ...good, A_PORT: '', A_DOMAIN: 'a.example' })).toEqual({
    ...good,
    A_PORT: 8080,
    A_FLAG: false,
    A_DOMAIN: 'a.example',
  })
})

test('every violation is reported at once, with its variable and rule', () => {
  const found = violations({ A_PORT: '70000', A_FLAG: 'yes', A_URLS: 'http://x', A_COUNT: '11', A_DOMAIN: 'A_b' })
  for (const name of ['A_PORT', 'A_SECRET', 'A_FLAG', 'A_URLS', 'A_COUNT', 'A_DOMAIN']) {
    expect(found.filter((line) => line.startsWith(name))).not.toEqual([])
  }
  expect(found.find((line) => line.startsWith('A_SECRET'))).toBe('A_SECRET: is required')
})

test('a secret that is wrong is not repeated in the message', () => {
  const [line] = violations({ A_SECRET: 'hunter2' })
  expect(line).toBe('A_SECRET: must be a secret of at least 32 characters')
})

test('lists are split and each member is checked', () => {
  const config = readConfig(schema, {
    ...good,
    A_URLS: 'redis://a:1, redis://b:2',
    A_SECRETS: `${'a'.repeat(32)},${'b'.repeat(32)}`,
  })
  expect(config.A_URLS).toEqual(['redis://a:1', 'redis://b:2'])
  expect(config.A_SECRETS).toHaveLength(2)
  expect(violations({ ...good, A_SECRETS: `${'a'.repeat(32)},short` })).toHaveLength(1)
})
