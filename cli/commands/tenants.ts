import { Argument, Option } from '@commander-js/extra-typings'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { CliFault, EXIT } from '../fault.ts'
import { findTenant, type Tenant } from '../find-tenant.ts'
import { followOperation } from '../follow-operation.ts'
import { readPages } from '../read-pages.ts'
import { readPositive, readQuota } from '../read-quantity.ts'
import { confirmName, type Perform, type Session } from '../session.ts'
import { renderFacts } from '../table.ts'
import type { Group } from './group.ts'
import { renderTenant, renderTenants } from './render-tenant.ts'

const STATUSES = [
  'provisioning',
  'active',
  'suspended',
  'migrating',
  'paused',
  'deleting',
  'deleted',
  'failed',
] as const
const ISOLATIONS = ['schema', 'database', 'cluster'] as const
const SORTS = ['created_at', 'name', 'plan', 'status', 'isolation', 'storage', 'api_requests'] as const
const ORDERS = ['asc', 'desc'] as const

/** `aerodb tenants` */
export function addTenantCommands(tenants: Group, perform: Perform): void {
  tenants
    .command('list')
    .description('List tenants, newest first.')
    .option('--name <part>', 'whose name has this part')
    .option('--plan <plan>', 'on this plan')
    .addOption(new Option('--status <status>', 'in this state').choices(STATUSES))
    .addOption(new Option('--isolation <isolation>', 'of this isolation').choices(ISOLATIONS))
    .addOption(new Option('--sort <by>', 'the order').choices(SORTS))
    .addOption(new Option('--order <order>', 'texts ascend unless given, the rest descends').choices(ORDERS))
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .option('--cursor <cursor>', 'go on where a list ended (`next_cursor`)')
    .action((options) =>
      perform(async (session) => {
        const { limit, all, cursor, ...filter } = options
        const api = await session.connect()
        const page = await readPages({ limit, all, cursor }, async (query) =>
          unwrap(await api.GET('/v1/tenants', { params: { query: { ...filter, ...query } } })),
        )
        session.out.showPage(page, () => renderTenants(page.data))
      }),
    )

  tenants
    .command('get <tenant>')
    .description('Show a tenant with its quotas and what it stores.')
    .action((reference) =>
      perform(async (session) => {
        const tenant = await findTenant(await session.connect(), reference, 'any')
        session.out.show(tenant, () => renderTenant(tenant))
      }),
    )

  tenants
    .command('create <name>')
    .description('Create a tenant, wait until it serves, and show its keys this once.')
    .option('--plan <plan>', 'the plan; the default plan unless given')
    .addOption(new Option('--isolation <isolation>', 'the degree of isolation').choices(ISOLATIONS))
    .option('--region <region>', 'the region')
    .option('--backend <name>', 'place it on a registered backend')
    .option('--no-wait', 'show the keys and the operation at once')
    .action((name, { wait, ...options }) => perform((session) => createTenant(session, { name, ...options }, wait)))

  tenants
    .command('update <tenant>')
    .description("Change a tenant's plan, quotas, backend or status page; in force at every gateway within a second.")
    .option('--plan <plan>', 'the plan')
    .option('--quota <quota=amount>', 'override a quota (500MB, 1000; `plan`: back to the plan), repeatable', readQuota)
    .option('--backend <name>', 'place it on a registered backend')
    .option('--no-backend', 'serve it from where its data is')
    .addOption(new Option('--status-page <state>', 'whether anybody may see its status').choices(['open', 'closed']))
    .action((reference, { plan, quota, backend, statusPage }) =>
      perform((session) =>
        patchTenant(session, reference, {
          ...(plan && { plan }),
          ...(quota && { quotas: quota }),
          ...(typeof backend === 'string' && { backend }),
          ...(backend === false && { backend: null }),
          ...(statusPage && { public_status: statusPage === 'open' }),
        }),
      ),
    )

  tenants
    .command('move <tenant>')
    .addArgument(new Argument('<isolation>', 'where to').choices(ISOLATIONS))
    .description('Move a tenant to another isolation while it serves.')
    .option('--no-wait', 'do not wait for the end of the move')
    .action((reference, isolation, { wait }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, name } = await findTenant(api, reference)
        const answer = unwrap(
          await api.PATCH('/v1/tenants/{tenant_id}', {
            params: { path: { tenant_id } },
            headers: { Prefer: 'respond-async' },
            body: { isolation },
          }),
        )
        // A tenant that is there already has nothing to wait for.
        const operation = 'kind' in answer ? answer : undefined
        await endWithTenant(session, tenant_id, operation, `Moving ${name} to ${isolation}`, wait)
      }),
    )

  for (const [verb, status, description] of [
    ['suspend', 'suspended', 'Refuse all requests of a tenant until it is resumed.'],
    ['resume', 'active', 'Let a suspended tenant serve again.'],
  ] as const)
    tenants
      .command(`${verb} <tenant>`)
      .description(description)
      .action((reference) => perform((session) => patchTenant(session, String(reference), { status })))

  tenants
    .command('delete <tenant>')
    .description("Stop a tenant's requests at once; its data is kept for the plan's retention.")
    .option('--purge', 'remove the data now; also of a tenant that is deleted already')
    .option('-y, --yes', 'do not ask for the name')
    .option('--no-wait', 'do not wait for the end of the operation')
    .action((reference, { purge = false, yes = false, wait }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, name } = await findTenant(api, reference, purge ? 'any' : 'living')
        const what = purge ? `This removes ${name} and all its data for good` : `This deletes ${name}`
        await confirmName(session, name, what, yes)
        const operation = unwrap(
          await api.DELETE('/v1/tenants/{tenant_id}', {
            params: { path: { tenant_id }, query: purge ? { purge: 'true' } : {} },
          }),
        )
        const ended = wait
          ? await followOperation(session, api, operation, `${purge ? 'Purging' : 'Deleting'} ${name}`)
          : operation
        session.out.show(ended, () => (wait ? `${name} is ${purge ? 'purged' : 'deleted'}.\n` : renderBegun(ended)))
        if (wait && !purge) session.out.note(`Until it is purged: aerodb tenants restore ${tenant_id}`)
      }),
    )

  tenants
    .command('restore <tenant>')
    .description('Bring a deleted tenant back.')
    .option('--no-wait', 'do not wait for the end of the operation')
    .action((reference, { wait }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, name } = await findTenant(api, reference, 'deleted')
        const operation = unwrap(await api.POST('/v1/tenants/{tenant_id}/restore', { params: { path: { tenant_id } } }))
        await endWithTenant(session, tenant_id, operation, `Restoring ${name}`, wait)
      }),
    )
}

async function createTenant(session: Session, body: Document<'CreateTenant'>, wait: boolean): Promise<void> {
  const api = await session.connect()
  const answer = unwrap(await api.POST('/v1/tenants', { body, headers: { Prefer: 'respond-async' } }))
  const { keys } = answer
  const renderKeys = () => renderFacts({ 'anon key': keys.anon, 'service key': keys.service })
  if ('operation_id' in answer) {
    if (!wait) return session.out.show(answer, () => `${renderBegun(answer)}\n${renderKeys()}`)
    try {
      await followOperation(session, api, answer, `Creating ${body.name}`)
    } catch (fault) {
      // The operation goes on, and nobody shows its keys again.
      const isGoingOn = !(fault instanceof CliFault) || fault.exitCode === EXIT.stillRunning
      if (isGoingOn) session.out.show(answer, () => `${renderBegun(answer)}\n${renderKeys()}`)
      throw fault
    }
  }
  const tenant = await findTenant(api, answer.tenant_id)
  session.out.show({ ...tenant, keys }, () => `${renderTenant(tenant)}\n${renderKeys()}`)
  session.out.note('The keys are shown this once.')
}

async function patchTenant(session: Session, reference: string, patch: Document<'PatchTenant'>): Promise<void> {
  if (Object.keys(patch).length === 0)
    throw new CliFault(EXIT.usage, 'nothing_to_change', 'There is nothing to change.', 'See --help.')
  const api = await session.connect()
  const { tenant_id } = await findTenant(api, reference)
  const tenant = unwrap(
    await api.PATCH('/v1/tenants/{tenant_id}', { params: { path: { tenant_id } }, body: patch }),
  ) as Tenant
  session.out.show(tenant, () => renderTenant(tenant))
}

/** Waits for an operation and shows the tenant as it is then; without waiting, the operation. */
async function endWithTenant(
  session: Session,
  tenantId: string,
  operation: Document<'Operation'> | undefined,
  title: string,
  wait: boolean,
): Promise<void> {
  const api = await session.connect()
  if (operation !== undefined && !wait) return session.out.show(operation, () => renderBegun(operation))
  if (operation !== undefined) await followOperation(session, api, operation, title)
  const tenant = await findTenant(api, tenantId)
  session.out.show(tenant, () => renderTenant(tenant))
}

function renderBegun({ operation_id }: { operation_id: string }): string {
  return `Begun. Wait for it with: aerodb operations wait ${operation_id}\n`
}
