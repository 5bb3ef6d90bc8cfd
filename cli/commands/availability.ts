import { Option } from '@commander-js/extra-typings'
import { unwrap } from '../../client/platform-client.ts'
import { findTenant } from '../find-tenant.ts'
import { readPages } from '../read-pages.ts'
import { readMonth, readPositive, readSeconds } from '../read-quantity.ts'
import { makeSpan, readMoment } from '../read-span.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'
import { renderSla, renderStatus } from './render-availability.ts'

/** `aerodb sla`, `status`, `maintenance` */
export function addAvailabilityCommands(program: Group, perform: Perform): void {
  program
    .command('sla')
    .description('What was promised, and what was measured.')
    .command('get <tenant>')
    .description("A month's measured uptime with its incidents, against what the plan promises.")
    .option('--month <YYYY-MM>', 'the month (UTC); the current one unless given', readMonth)
    .action((reference, { month }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const report = unwrap(
          month === undefined
            ? await api.GET('/v1/tenants/{tenant_id}/sla', { params: { path: { tenant_id } } })
            : await api.GET('/v1/tenants/{tenant_id}/sla/{month}', { params: { path: { tenant_id, month } } }),
        )
        session.out.show(report, () => renderSla(report))
      }),
    )

  program
    .command('status [name]')
    .description('The public status of the platform, or of a tenant that has opened its status page; needs no key.')
    .action((name) =>
      perform(async (session) => {
        const api = await session.connect('public')
        const status = unwrap(
          name === undefined
            ? await api.GET('/v1/status')
            : await api.GET('/v1/status/{name}', { params: { path: { name } } }),
        )
        session.out.show(status, () => renderStatus(status))
      }),
    )

  addMaintenanceCommands(
    program.command('maintenance').description('Announced work: downtime that does not count.'),
    perform,
  )
}

function addMaintenanceCommands(maintenance: Group, perform: Perform): void {
  maintenance
    .command('list')
    .description('List the maintenance windows, newest first.')
    .option('--tenant <tenant>', 'of this tenant and of the platform')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action(({ tenant, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = tenant === undefined ? {} : { tenant_id: (await findTenant(api, tenant, 'any')).tenant_id }
        const page = await readPages({ limit, all }, async (query) =>
          unwrap(await api.GET('/v1/maintenance-windows', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'ID', of: (one) => one.window_id },
              { title: 'STATE', of: (one) => one.state },
              { title: 'OF', of: (one) => one.tenant_id ?? 'the platform' },
              { title: 'STARTS', of: (one) => one.starts_at },
              { title: 'ENDS', of: (one) => one.ends_at },
              { title: 'REASON', of: (one) => one.reason },
            ],
            'No maintenance windows.',
          ),
        )
      }),
    )

  maintenance
    .command('declare [tenant]')
    .description('Declare maintenance of a tenant, or of the whole platform, before it begins.')
    .requiredOption('--reason <text>', 'what status pages say about it')
    .option('--starts <moment>', 'when it begins, such as 2026-12-24T18:00Z; now unless given', readMoment)
    .option('--for <time>', 'how long it lasts: 15m, 2h; 24 hours at most', readSeconds)
    .addOption(new Option('--until <moment>', 'when it ends').argParser(readMoment).conflicts('for'))
    .action((tenant, { reason, ...span }) =>
      perform(async (session) => {
        const ends = makeSpan(span)
        const api = await session.connect()
        const tenant_id = tenant === undefined ? null : (await findTenant(api, tenant)).tenant_id
        const made = unwrap(await api.POST('/v1/maintenance-windows', { body: { tenant_id, reason, ...ends } }))
        session.out.show(made, () =>
          renderFacts({
            id: made.window_id,
            of: made.tenant_id ?? 'the platform',
            state: made.state,
            starts: made.starts_at,
            ends: made.ends_at,
          }),
        )
      }),
    )

  maintenance
    .command('end <window_id>')
    .description('End a window now; one that has not begun is removed.')
    .action((window_id) =>
      perform(async (session) => {
        const api = await session.connect()
        await api.DELETE('/v1/maintenance-windows/{window_id}', { params: { path: { window_id } } })
        session.out.show({ window_id, ended: true }, () => `${window_id} is over.\n`)
      }),
    )
}
