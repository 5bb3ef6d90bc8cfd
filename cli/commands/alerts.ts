import { Option } from '@commander-js/extra-typings'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { findTenant } from '../find-tenant.ts'
import { readPages } from '../read-pages.ts'
import { readPositive, readSeconds } from '../read-quantity.ts'
import { makeSpan, readMoment } from '../read-span.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

const SEVERITIES = ['info', 'warning', 'critical'] as const

/** `aerodb alerts`, `silences` */
export function addAlertCommands(program: Group, perform: Perform): void {
  program
    .command('alerts')
    .description('Alerts, newest first.')
    .addOption(new Option('--status <status>', 'in this state').choices(['open', 'resolved'] as const))
    .option('--tenant <tenant>', 'of this tenant')
    .option('--kind <kind>', 'of this kind')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action(({ status, tenant, kind, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = {
          ...(status && { status }),
          ...(kind && { kind }),
          ...(tenant && { tenant_id: (await findTenant(api, tenant, 'any')).tenant_id }),
        }
        const page = await readPages({ limit, all }, async (query) =>
          unwrap(await api.GET('/v1/alerts', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'OPENED', of: (one) => one.opened_at },
              { title: 'STATUS', of: (one) => one.status },
              { title: 'SEVERITY', of: (one) => one.severity },
              { title: 'KIND', of: (one) => one.kind },
              { title: 'TENANT', of: (one) => one.tenant_id ?? '-' },
              { title: 'DETAIL', of: (one) => one.detail },
            ],
            'No alerts.',
          ),
        )
      }),
    )

  addSilenceCommands(program.command('silences').description('Alerts that are not told for a while.'), perform)
}

function addSilenceCommands(silences: Group, perform: Perform): void {
  silences
    .command('list')
    .description('List the silences, newest first.')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((wanted) =>
      perform(async (session) => {
        const api = await session.connect()
        const page = await readPages(wanted, async (query) =>
          unwrap(await api.GET('/v1/silences', { params: { query } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'ID', of: (one) => one.silence_id },
              { title: 'MATCHES', of: (one) => renderMatcher(one.matcher) },
              { title: 'STARTS', of: (one) => one.starts_at },
              { title: 'ENDS', of: (one) => one.ends_at },
              { title: 'REASON', of: (one) => one.reason },
            ],
            'No silences.',
          ),
        )
      }),
    )

  silences
    .command('create')
    .description('Have matching alerts not told: they are listed, and told when they are still open at its end.')
    .option('--kind <kind>', 'alerts of this kind')
    .addOption(new Option('--severity <severity>', 'of this severity').choices(SEVERITIES))
    .option('--tenant <tenant>', 'of this tenant')
    .option('--group <group>', 'of this cause: the `group` of an alert (--json)')
    .requiredOption('--reason <text>', 'why')
    .option('--starts <moment>', 'when it begins, such as 2026-12-24T18:00Z; now unless given', readMoment)
    .option('--for <time>', 'how long it lasts: 15m, 2h, 7d; 90 days at most', readSeconds)
    .addOption(new Option('--until <moment>', 'when it ends').argParser(readMoment).conflicts('for'))
    .action(({ kind, severity, tenant, group, reason, ...span }) =>
      perform(async (session) => {
        const ends = makeSpan(span)
        const api = await session.connect()
        const matcher = {
          ...(kind && { kind }),
          ...(severity && { severity }),
          ...(group && { group }),
          ...(tenant && { tenant_id: (await findTenant(api, tenant, 'any')).tenant_id }),
        }
        const made = unwrap(await api.POST('/v1/silences', { body: { matcher, reason, ...ends } }))
        session.out.show(made, () =>
          renderFacts({
            id: made.silence_id,
            matches: renderMatcher(made.matcher),
            starts: made.starts_at,
            ends: made.ends_at,
          }),
        )
      }),
    )

  silences
    .command('end <silence_id>')
    .description('End a silence now.')
    .action((silence_id) =>
      perform(async (session) => {
        const api = await session.connect()
        await api.DELETE('/v1/silences/{silence_id}', { params: { path: { silence_id } } })
        session.out.show({ silence_id, ended: true }, () => `${silence_id} is over.\n`)
      }),
    )
}

function renderMatcher(matcher: Document<'AlertMatcher'>): string {
  return Object.entries(matcher)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
