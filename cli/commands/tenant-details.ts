import { Readable } from 'node:stream'
import { formatBytes, formatSeconds } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { deliver, streamBody } from '../deliver.ts'
import { CliFault, EXIT } from '../fault.ts'
import { findTenant } from '../find-tenant.ts'
import type { Perform } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** The last line of a dump that is whole. */
const END_OF_DUMP = '-- The dump is complete.\n'

/** `aerodb tenants nodes`, `export`, `check-name` */
export function addTenantDetailCommands(tenants: Group, perform: Perform): void {
  tenants
    .command('nodes <tenant>')
    .description('The nodes of a cluster tenant: role, state, and how far each is behind.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, isolation } = await findTenant(api, reference)
        const page = unwrap(await api.GET('/v1/tenants/{tenant_id}/nodes', { params: { path: { tenant_id } } }))
        session.out.show(page, () => renderNodes(page.data, isolation))
      }),
    )

  tenants
    .command('export <tenant>')
    .description("A tenant's data as SQL for psql; needs an access grant that the tenant has approved.")
    .option('-o, --output <file>', 'write it to this file, readable by you only; `-` is stdout, as without it')
    .option('-f, --force', 'replace a file that is there')
    .action((reference, { output, force }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const answer = await api.GET('/v1/tenants/{tenant_id}/export', {
          params: { path: { tenant_id } },
          parseAs: 'stream',
        })
        const dump = Readable.from(requireWhole(streamBody(answer)), { objectMode: false })
        await deliver(session, dump, { output, force, format: 'sql' })
      }),
    )

  tenants
    .command('check-name <name>')
    .description('Whether a new tenant can have this name; exit code 3 when it cannot.')
    .action((name) =>
      perform(async (session) => {
        const api = await session.connect()
        const found = unwrap(await api.GET('/v1/tenant-names/{name}', { params: { path: { name } } }))
        session.out.show(found, () => (found.available ? `${name} is free.\n` : `${found.reasons.join('\n')}\n`))
        if (!found.available) process.exitCode = EXIT.refused
      }),
    )
}

/** Passes a dump on and fails at its end when that is not the end of a whole one: half a dump must not look like one. */
async function* requireWhole(dump: Readable): AsyncGenerator<Buffer> {
  let tail = Buffer.alloc(0)
  try {
    for await (const chunk of dump) {
      tail = Buffer.concat([tail, chunk]).subarray(-END_OF_DUMP.length)
      yield chunk
    }
  } catch (fault) {
    // What fetch throws when the connection breaks within the body.
    if (!(fault instanceof TypeError)) throw fault
  }
  if (tail.toString() !== END_OF_DUMP)
    throw new CliFault(EXIT.unavailable, 'export_cut_off', 'The export was cut off.', 'Ask for it again.')
}

function renderNodes(nodes: readonly Document<'TenantNode'>[], isolation: string): string {
  return renderTable(
    nodes,
    [
      { title: 'NODE', of: (one) => String(one.node), isNumber: true },
      { title: 'ROLE', of: (one) => one.role },
      { title: 'STATE', of: (one) => one.state },
      { title: 'QUORUM', of: (one) => (one.is_in_quorum ? 'yes' : 'no') },
      { title: 'LAG', of: (one) => (one.lag_bytes === null ? '-' : formatBytes(one.lag_bytes)), isNumber: true },
      {
        title: 'BEHIND',
        of: (one) => (one.lag_seconds === null ? '-' : formatSeconds(one.lag_seconds)),
        isNumber: true,
      },
    ],
    isolation === 'cluster' ? 'No nodes.' : `No nodes: the isolation is ${isolation}.`,
  )
}
