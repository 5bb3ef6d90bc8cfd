import { Option } from '@commander-js/extra-typings'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { findTenant } from '../find-tenant.ts'
import { readPages } from '../read-pages.ts'
import { readPositive, readSeconds } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb access-grants`: the platform's side; the tenant decides with its service key. */
export function addAccessGrantCommands(grants: Group, perform: Perform): void {
  grants
    .command('list <tenant>')
    .description("List the requests for access to a tenant's data, newest first.")
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((reference, wanted) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const page = await readPages(wanted, async (query) =>
          unwrap(await api.GET('/v1/tenants/{tenant_id}/access-grants', { params: { path: { tenant_id }, query } })),
        )
        session.out.showPage(page, () => renderGrants(page.data))
      }),
    )

  grants
    .command('get <tenant> <grant_id>')
    .description('Show a request: whether it was approved, until when, and how often it was used.')
    .action((reference, grant_id) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const path = { tenant_id, grant_id }
        const found = unwrap(await api.GET('/v1/tenants/{tenant_id}/access-grants/{grant_id}', { params: { path } }))
        session.out.show(found, () => renderGrant(found))
      }),
    )

  grants
    .command('request <tenant>')
    .description('Ask a tenant for access to its data; it opens nothing until the tenant approves.')
    .requiredOption('--reason <text>', 'what the tenant is told')
    .requiredOption('--for <time>', 'how long from its approval: 30m, 2h; a day at most', readSeconds)
    .addOption(
      new Option('--access <access>', 'what it opens').choices(['read', 'write'] as const).default('read' as const),
    )
    .action((reference, { reason, for: seconds, access }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, name } = await findTenant(api, reference)
        const made = unwrap(
          await api.POST('/v1/tenants/{tenant_id}/access-grants', {
            params: { path: { tenant_id } },
            body: { reason, minutes: Math.ceil(seconds / 60), access },
          }),
        )
        session.out.show(made, () => renderGrant(made))
        session.out.note(
          `${name} approves with its service key: POST /platform/v1/access-grants/${made.grant_id}/approve`,
        )
      }),
    )

  grants
    .command('end <tenant> <grant_id>')
    .description('Give access back, or take a request back.')
    .action((reference, grant_id) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const path = { tenant_id, grant_id }
        await api.DELETE('/v1/tenants/{tenant_id}/access-grants/{grant_id}', { params: { path } })
        session.out.show({ grant_id, ended: true }, () => `${grant_id} opens nothing any more.\n`)
      }),
    )
}

function renderGrants(grants: readonly Document<'AccessGrant'>[]): string {
  return renderTable(
    grants,
    [
      { title: 'ID', of: (one) => one.grant_id },
      { title: 'STATUS', of: (one) => one.status },
      { title: 'ACCESS', of: (one) => one.access },
      { title: 'MINUTES', of: (one) => String(one.minutes), isNumber: true },
      { title: 'BY', of: (one) => one.requested_by },
      { title: 'ASKED', of: (one) => one.requested_at },
      { title: 'EXPIRES', of: (one) => one.expires_at ?? '-' },
      { title: 'USES', of: (one) => String(one.uses), isNumber: true },
      { title: 'REASON', of: (one) => one.reason },
    ],
    'No requests.',
  )
}

function renderGrant(grant: Document<'AccessGrant'>): string {
  return renderFacts({
    id: grant.grant_id,
    tenant: grant.tenant_id,
    status: grant.status,
    access: `${grant.access}, ${grant.minutes} minutes`,
    by: grant.requested_by,
    reason: grant.reason,
    asked: grant.requested_at,
    decided: grant.decided_at === null ? undefined : `${grant.decided_at} by ${grant.decided_by ?? 'the tenant'}`,
    expires: grant.expires_at ?? undefined,
    uses: grant.last_used_at === null ? undefined : `${grant.uses}, last at ${grant.last_used_at}`,
  })
}
