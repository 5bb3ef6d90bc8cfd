import { expect, test } from 'vitest'
import type { Finding } from './finding.ts'
import { buildReport, renderReport, reportForTenant } from './report.ts'
import { ReportSigner, verifyReport } from './report-signature.ts'

const finding = (over: Partial<Finding>): Finding => ({
  code: 'rls_not_enabled',
  severity: 'critical',
  tenant: null,
  server: 'shared-0',
  object: 't_x.todos',
  what: 'row level security is off',
  remedy: 'Enable it.',
  ...over,
})
const acme = { tenant_id: 'ten_acme', name: 'acme' }
const beta = { tenant_id: 'ten_beta', name: 'beta' }
const build = (findings: Finding[], accept: string[] = []) =>
  buildReport({
    findings,
    accept,
    unlisted: 0,
    servers: [
      { server: 'shared-0', database: 'aerodb_shared', tenants: 12, tables: 30, statements: 38 },
      { server: 'shared-1', database: 'aerodb_shared', tenants: 7, tables: 9, statements: 38 },
    ],
    canary: 'passed',
    nowMs: Date.UTC(2026, 10, 23),
    durationMs: 1_234.5,
  })

test('a run without findings is ok, and names every rule that was looked at', () => {
  const report = build([])
  expect(report).toMatchObject({ ok: true, audited_at: '2026-11-23T00:00:00.000Z', findings: [] })
  expect(report.rules.every(({ findings, promise }) => findings === 0 && promise !== '')).toBe(true)
})

test('an accepted finding does not count, but is shown; accepting one object accepts no other', () => {
  const guest = finding({ code: 'login_unknown', severity: 'medium', object: 'role guest' })
  const other = finding({ code: 'login_unknown', severity: 'medium', object: 'role other' })
  expect(build([guest], ['login_unknown:role guest'])).toMatchObject({ ok: true, accepted: [guest] })
  expect(build([guest, other], ['login_unknown:role guest'])).toMatchObject({ ok: false, findings: [other] })
})

test('the worst comes first, and the terminal shows what, where, whose and what to do', () => {
  const report = build([
    finding({ code: 'login_unknown', severity: 'medium', object: 'role x' }),
    finding({ tenant: acme }),
  ])
  expect(report.findings.map(({ severity }) => severity)).toEqual(['critical', 'medium'])
  const text = renderReport(report)
  for (const part of [
    'CRITICAL  rls_not_enabled  shared-0  tenant acme',
    't_x.todos: row level security is off',
    'Enable it.',
  ])
    expect(text).toContain(part)
})

test('a tenant’s auditor sees its findings and everybody’s, and nothing of another tenant or server', () => {
  const report = build([
    finding({ tenant: acme }),
    finding({ tenant: beta, object: 't_beta.secrets' }),
    finding({ code: 'event_trigger_wrong', severity: 'high', object: 'event trigger aerodb_ddl' }),
    finding({ code: 'event_trigger_wrong', severity: 'high', object: 'event trigger aerodb_ddl', server: 'shared-1' }),
  ])
  const own = reportForTenant(report, acme.tenant_id, 'shared-0')
  expect(own.findings.map(({ code, server }) => [code, server])).toEqual([
    ['rls_not_enabled', 'shared-0'],
    ['event_trigger_wrong', 'shared-0'],
  ])
  expect(JSON.stringify(own)).not.toMatch(/beta|shared-1/)
})

test('a signed report verifies with the public key alone; changed, or under another secret, it does not', async () => {
  const signer = new ReportSigner('a secret of at least thirty-two characters')
  const other = new ReportSigner('another secret of thirty-two characters')
  const report = build([finding({ tenant: acme })])
  const jws = await signer.sign(report)
  const key = await signer.publicKey()
  expect(key).not.toHaveProperty('d')
  expect(await verifyReport(jws, key)).toEqual(report)
  const [head, body = '', signature] = jws.split('.')
  const forged = Buffer.from(Buffer.from(body, 'base64url').toString().replace('"ok":false', '"ok":true')).toString(
    'base64url',
  )
  await expect(verifyReport([head, forged, signature].join('.'), key)).rejects.toThrow()
  await expect(verifyReport(jws, await other.publicKey())).rejects.toThrow()
})

test('every replica signs with the same key', async () => {
  const secret = 'a secret of at least thirty-two characters'
  expect(await new ReportSigner(secret).publicKey()).toEqual(await new ReportSigner(secret).publicKey())
})
