import { formatBytes, formatCount } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { deliver, streamBody } from '../deliver.ts'
import { readPages } from '../read-pages.ts'
import { readPositive } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb servers`, `backends`, `upgrades`, `metrics`: what tenants run on. */
export function addServerCommands(program: Group, perform: Perform): void {
  const servers = program.command('servers').description('The servers of the shared tier.')
  servers
    .command('list', { isDefault: true })
    .description('List them, and how full they are.')
    .action(() =>
      perform(async (session) => {
        const page = unwrap(await (await session.connect()).GET('/v1/servers'))
        session.out.show(page, () => renderServers(page.data))
      }),
    )
  for (const [verb, draining, description] of [
    ['drain', true, 'Move its tenants to other servers while they serve, and give it no further ones.'],
    ['use', false, 'Take a draining server into use again.'],
  ] as const)
    servers
      .command(`${verb} <server>`)
      .description(description)
      .action((server) =>
        perform(async (session) => {
          const api = await session.connect()
          const path = { server: String(server) }
          const now = unwrap(await api.PATCH('/v1/servers/{server}', { params: { path }, body: { draining } }))
          session.out.show(now, () => renderServers([now]))
          if (draining)
            session.out.note('It is empty once it has no tenants. Its moves: aerodb operations list --kind move')
        }),
      )

  addBackendCommands(
    program.command('backends').description('Further HTTP upstreams that tenants are placed on.'),
    perform,
  )

  program
    .command('upgrades')
    .description("How far the tenants' own objects are upgraded to this release.")
    .action(() =>
      perform(async (session) => {
        const progress = unwrap(await (await session.connect()).GET('/v1/upgrades'))
        session.out.show(progress, () => renderUpgrades(progress))
      }),
    )

  program
    .command('metrics')
    .description("What the control service measures, in Prometheus' text format.")
    .action(() =>
      perform(async (session) => {
        const answer = await (await session.connect()).GET('/v1/metrics', { parseAs: 'stream' })
        await deliver(session, streamBody(answer), { format: 'text' })
      }),
    )
}

function addBackendCommands(backends: Group, perform: Perform): void {
  backends
    .command('list')
    .description('List the registered backends.')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((wanted) =>
      perform(async (session) => {
        const api = await session.connect()
        const page = await readPages(wanted, async (query) =>
          unwrap(await api.GET('/v1/backends', { params: { query } })),
        )
        session.out.showPage(page, () => renderBackends(page.data))
      }),
    )

  backends
    .command('create <name> <url>')
    .description(
      'Register an AeroDB server, a PostgREST or a Supabase stack; `tenants create --backend` places tenants there.',
    )
    .option(
      '--pipelining <count>',
      'how many requests may be in flight on one connection; 1 unless given',
      readPositive,
    )
    .action((name, url, { pipelining }) =>
      perform(async (session) => {
        const body = { name, url, ...(pipelining !== undefined && { pipelining }) }
        const made = unwrap(await (await session.connect()).POST('/v1/backends', { body }))
        session.out.show(made, () => renderBackends([made]))
      }),
    )

  backends
    .command('delete <backend>')
    .description('Forget a backend, by its id or name; refused while tenants are on it.')
    .action((backend_id) =>
      perform(async (session) => {
        const api = await session.connect()
        await api.DELETE('/v1/backends/{backend_id}', { params: { path: { backend_id } } })
        session.out.show({ backend: backend_id, removed: true }, () => `${backend_id} is forgotten.\n`)
      }),
    )
}

function renderServers(servers: readonly Document<'SharedServer'>[]): string {
  return renderTable(
    servers,
    [
      { title: 'SERVER', of: (one) => one.server },
      { title: 'TENANTS', of: (one) => formatCount(one.tenants), isNumber: true },
      { title: 'CAPACITY', of: (one) => formatCount(one.capacity), isNumber: true },
      { title: 'STORED', of: (one) => formatBytes(one.documents_bytes), isNumber: true },
      { title: 'DRAINING', of: (one) => (one.draining ? 'yes' : 'no') },
    ],
    'No servers.',
  )
}

function renderBackends(backends: readonly Document<'Backend'>[]): string {
  return renderTable(
    backends,
    [
      { title: 'NAME', of: (one) => one.name },
      { title: 'URL', of: (one) => one.url },
      { title: 'PIPELINING', of: (one) => formatCount(one.pipelining), isNumber: true },
      { title: 'CREATED', of: (one) => one.created_at },
      { title: 'ID', of: (one) => one.backend_id },
    ],
    'No backends.',
  )
}

function renderUpgrades({ target, tenants, failures }: Document<'Upgrades'>): string {
  const facts = renderFacts({
    'objects version': String(target.objects_version),
    'tables version': target.tables_version === null ? 'not known: no backend answers' : String(target.tables_version),
    'up to date': `${formatCount(tenants.current)} of ${formatCount(tenants.total)} tenants`,
    due: formatCount(tenants.due),
    asleep: formatCount(tenants.paused),
    failed: formatCount(tenants.failed),
  })
  if (failures.length === 0) return facts
  return `${facts}\n${renderTable(
    failures,
    [
      { title: 'TENANT', of: (one) => one.name },
      { title: 'FAILED', of: (one) => one.failed_at },
      { title: 'ERROR', of: (one) => one.error },
    ],
    '',
  )}`
}
