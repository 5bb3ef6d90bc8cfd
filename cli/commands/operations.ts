import { Option } from '@commander-js/extra-typings'
import { unwrap } from '../../client/platform-client.ts'
import { findTenant } from '../find-tenant.ts'
import { followOperation, type Operation } from '../follow-operation.ts'
import { readPages } from '../read-pages.ts'
import { readPositive, readSeconds } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb operations` */
export function addOperationCommands(operations: Group, perform: Perform): void {
  operations
    .command('list')
    .description('List the operations of the last 90 days, newest first.')
    .addOption(new Option('--status <status>', 'in this state').choices(['running', 'succeeded', 'failed'] as const))
    .addOption(
      new Option('--kind <kind>', 'of this kind').choices(['create', 'delete', 'restore', 'purge', 'move'] as const),
    )
    .option('--tenant <tenant>', 'of this tenant')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action(({ status, kind, tenant, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = {
          ...(status && { status }),
          ...(kind && { kind }),
          ...(tenant && { tenant_id: (await findTenant(api, tenant, 'any')).tenant_id }),
        }
        const page = await readPages({ limit, all }, async (query) =>
          unwrap(await api.GET('/v1/operations', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'ID', of: (one) => one.operation_id },
              { title: 'KIND', of: (one) => one.kind },
              { title: 'TENANT', of: (one) => one.tenant_name },
              { title: 'STATUS', of: (one) => one.status },
              { title: 'STEP', of: (one) => one.step ?? '-' },
              { title: 'BEGUN', of: (one) => one.created_at },
              { title: 'ERROR', of: (one) => one.error?.code ?? '-' },
            ],
            'No operations.',
          ),
        )
      }),
    )

  operations
    .command('get <operation_id>')
    .description('Show an operation.')
    .action((operation_id) =>
      perform(async (session) => {
        const api = await session.connect()
        const found = unwrap(await api.GET('/v1/operations/{operation_id}', { params: { path: { operation_id } } }))
        session.out.show(found, () => renderOperation(found))
      }),
    )

  operations
    .command('wait <operation_id>')
    .description('Follow an operation until it has ended; exit code 7 when it failed, 8 when the time is over.')
    .option('--timeout <time>', 'how long at most: 90s, 15m, 2h', readSeconds, 3_600)
    .action((operation_id, { timeout }) =>
      perform(async (session) => {
        const api = await session.connect()
        const found = unwrap(await api.GET('/v1/operations/{operation_id}', { params: { path: { operation_id } } }))
        const ended = await followOperation(session, api, found, `${found.kind} ${found.tenant_id}`, timeout)
        session.out.show(ended, () => renderOperation(ended))
      }),
    )
}

function renderOperation(operation: Operation): string {
  return renderFacts({
    id: operation.operation_id,
    kind: operation.kind,
    tenant: operation.tenant_id,
    status: operation.status,
    step: operation.step ?? undefined,
    error: operation.error && `${operation.error.detail} (${operation.error.code})`,
    begun: operation.created_at,
    'ends by': operation.finished_at === null ? operation.deadline_at : undefined,
    ended: operation.finished_at ?? undefined,
  })
}
