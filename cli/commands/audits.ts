import { formatCount } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { EXIT } from '../fault.ts'
import { findTenant } from '../find-tenant.ts'
import { readPages } from '../read-pages.ts'
import { readPositive } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb audit-log`, `isolation-audit` */
export function addAuditCommands(program: Group, perform: Perform): void {
  const audit = program.command('audit-log').description('Who changed what.')
  audit
    .command('list')
    .description('List the entries, newest first.')
    .option('--target <id>', 'about this (a tenant, a key ...)')
    .option('--action <action>', 'of this action, such as tenant.create')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action(({ target, action, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = { ...(target && { target }), ...(action && { action }) }
        const page = await readPages({ limit, all }, async (query) =>
          unwrap(await api.GET('/v1/audit-log', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'SEQ', of: (one) => String(one.seq), isNumber: true },
              { title: 'AT', of: (one) => one.at },
              { title: 'ACTOR', of: (one) => one.actor },
              { title: 'ACTION', of: (one) => one.action },
              { title: 'TARGET', of: (one) => one.target },
              { title: 'REQUEST', of: (one) => one.request_id ?? '-' },
            ],
            'No entries.',
          ),
        )
      }),
    )
  audit
    .command('verify')
    .description('Check the chain of hashes from its beginning; exit code 3 when it is broken.')
    .action(() =>
      perform(async (session) => {
        const chain = unwrap(await (await session.connect()).GET('/v1/audit-log/verification'))
        session.out.show(chain, () =>
          renderFacts({ chain: chain.intact ? 'intact' : `broken at ${chain.first_broken_seq}` }),
        )
        if (!chain.intact) process.exitCode = EXIT.refused
      }),
    )

  const isolation = program.command('isolation-audit').description('The audit of the walls between tenants.')
  isolation
    .command('get')
    .description('The last report, signed; exit code 3 when a wall has a hole.')
    .option('--tenant <tenant>', "as this tenant's auditor may see it")
    .option('--fresh', 'look now')
    .action(({ tenant, fresh }) =>
      perform(async (session) => {
        const api = await session.connect()
        const query = {
          ...(tenant && { tenant_id: (await findTenant(api, tenant)).tenant_id }),
          ...(fresh && { fresh: 'true' as const }),
        }
        const signed = unwrap(await api.GET('/v1/isolation-audit', { params: { query } }))
        session.out.show(signed, () => renderReport(signed.report))
        if (!signed.report.ok) process.exitCode = EXIT.refused
      }),
    )
  isolation
    .command('keys')
    .description('The public key that reports are signed with, as a JWK set.')
    .action(() =>
      perform(async (session) => {
        const set = unwrap(await (await session.connect()).GET('/v1/isolation-audit/keys'))
        session.out.show(set, () => `${JSON.stringify(set, null, 2)}\n`)
      }),
    )
}

function renderReport(report: Document<'IsolationReport'>): string {
  const sum = (of: (server: (typeof report.servers)[number]) => number) =>
    formatCount(report.servers.reduce((total, server) => total + of(server), 0))
  const facts = renderFacts({
    result: report.ok ? 'no findings' : `${report.findings.length + report.unlisted} findings`,
    looked: `${report.audited_at}, at ${sum((one) => one.tenants)} tenants with ${sum((one) => one.tables)} tables`,
    rules: formatCount(report.rules.length),
    canary: report.canary.replace('_', ' '),
    accepted: report.accepted.length === 0 ? undefined : `${report.accepted.length} findings`,
  })
  if (report.findings.length === 0) return facts
  return `${facts}\n${renderTable(
    report.findings,
    [
      { title: 'SEVERITY', of: (one) => one.severity },
      { title: 'CODE', of: (one) => one.code },
      { title: 'TENANT', of: (one) => one.tenant?.name ?? one.tenant?.tenant_id ?? '-' },
      { title: 'OBJECT', of: (one) => `${one.server}: ${one.object}` },
      { title: 'WHAT', of: (one) => one.what },
      { title: 'REMEDY', of: (one) => one.remedy },
    ],
    '',
  )}`
}
