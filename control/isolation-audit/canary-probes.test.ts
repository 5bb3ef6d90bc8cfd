import { expect, test } from 'vitest'
import { findFreePort } from '../../runtime/free-port.ts'
import { probeCanaries } from './canary-probes.ts'
import { type Leak, PlatformStandIn } from './testing/platform-stand-in.ts'

async function probe(leak: Leak) {
  const platform = new PlatformStandIn(leak)
  await platform.start()
  try {
    const target = { gatewayUrl: platform.url, domain: 'db.example', platformKey: platform.platformKey }
    const observations = await probeCanaries(target)
    return { observations, left: platform.tenants }
  } finally {
    await platform.stop()
  }
}

test('walls that stand give no finding, and the canaries are removed', async () => {
  expect(await probe('none')).toEqual({ observations: [], left: [] })
})

test.each<[Leak, RegExp]>([
  ['keys open every tenant', /another tenant’s service key read a row/],
  ['rows are shared', /it read another tenant’s row/],
  ['rows can be given away', /a row was put into another tenant’s collection/],
  ['the context is believed', /it read another tenant’s row/],
])('it is seen when %s', async (leak, what) => {
  const { observations, left } = await probe(leak)
  expect(observations.map((seen) => seen.code)).toContain('canary_leak')
  expect(observations.map((seen) => seen.what).join('\n')).toMatch(what)
  expect(left).toEqual([])
})

test('a platform that cannot be probed did not pass', async () => {
  const gatewayUrl = `http://127.0.0.1:${await findFreePort()}`
  const observations = await probeCanaries({ gatewayUrl, domain: 'db.example', platformKey: 'x' })
  expect(observations.map(({ code }) => code)).toEqual(['check_failed'])
})
