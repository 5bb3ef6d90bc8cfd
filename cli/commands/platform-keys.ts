import { Option } from '@commander-js/extra-typings'
import { unwrap } from '../../client/platform-client.ts'
import { readPages } from '../read-pages.ts'
import { readPositive } from '../read-quantity.ts'
import { readMoment } from '../read-span.ts'
import { confirmName, type Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

const ROLES = ['owner', 'operator', 'billing', 'viewer'] as const

/** `aerodb platform-keys` */
export function addPlatformKeyCommands(keys: Group, perform: Perform): void {
  keys
    .command('list')
    .description('List the platform keys that are good now; the keys themselves are never shown again.')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((wanted) =>
      perform(async (session) => {
        const api = await session.connect()
        const page = await readPages(wanted, async (query) =>
          unwrap(await api.GET('/v1/platform-keys', { params: { query } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'ID', of: (one) => one.key_id },
              { title: 'NAME', of: (one) => one.name },
              { title: 'ROLE', of: (one) => one.role },
              { title: 'HINT', of: (one) => one.hint },
              { title: 'CREATED', of: (one) => one.created_at },
              { title: 'EXPIRES', of: (one) => one.expires_at ?? '-' },
              { title: 'LAST USED', of: (one) => one.last_used_at ?? '-' },
            ],
            'No platform keys.',
          ),
        )
      }),
    )

  keys
    .command('create <name>')
    .description('Make a platform key and show it this once.')
    .addOption(new Option('--role <role>', 'what it may').choices(ROLES).makeOptionMandatory())
    .option('--expires <moment>', 'when it runs out, such as 2027-01-31T00:00Z; never unless given', readMoment)
    .action((name, { role, expires }) =>
      perform(async (session) => {
        const body = { name, role, ...(expires && { expires_at: expires }) }
        const made = unwrap(await (await session.connect()).POST('/v1/platform-keys', { body }))
        session.out.show(made, () =>
          renderFacts({
            id: made.key_id,
            name: made.name,
            role: made.role,
            expires: made.expires_at ?? undefined,
            key: made.key,
          }),
        )
        session.out.note('The key is shown this once.')
      }),
    )

  keys
    .command('revoke <key_id>')
    .description('Revoke a platform key at once.')
    .option('-y, --yes', "do not ask for the key's id")
    .action((key_id, { yes = false }) =>
      perform(async (session) => {
        await confirmName(session, key_id, `This revokes the platform key ${key_id}`, yes)
        const api = await session.connect()
        await api.DELETE('/v1/platform-keys/{key_id}', { params: { path: { key_id } } })
        session.out.show({ key_id, revoked: true }, () => `${key_id} opens nothing any more.\n`)
      }),
    )
}
