import { Option } from '@commander-js/extra-typings'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { readPages } from '../read-pages.ts'
import { readPositive } from '../read-quantity.ts'
import { confirmName, type Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

const EVENTS = [
  ...(['tenant.created', 'tenant.updated', 'tenant.deleted', 'tenant.restored', 'tenant.purged'] as const),
  ...(['tenant_key.created', 'tenant_key.rotated', 'tenant_key.revoked', 'tenant_jwt.updated'] as const),
  ...(['operation.failed', 'alert.opened', 'alert.resolved', 'webhook.test'] as const),
  ...(['access_grant.requested', 'access_grant.approved', 'access_grant.denied', 'access_grant.ended'] as const),
]

/** `aerodb webhooks` */
export function addWebhookCommands(webhooks: Group, perform: Perform): void {
  webhooks
    .command('list')
    .description('List the webhooks.')
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((wanted) =>
      perform(async (session) => {
        const api = await session.connect()
        const page = await readPages(wanted, async (query) =>
          unwrap(await api.GET('/v1/webhooks', { params: { query } })),
        )
        session.out.showPage(page, () =>
          renderTable(
            page.data,
            [
              { title: 'ID', of: (one) => one.webhook_id },
              { title: 'URL', of: (one) => one.url },
              { title: 'EVENTS', of: (one) => one.events.join(', ') || 'all' },
              { title: 'CREATED', of: (one) => one.created_at },
              { title: 'DISABLED', of: (one) => one.disabled_at ?? '-' },
              { title: 'DESCRIPTION', of: (one) => one.description ?? '-' },
            ],
            'No webhooks.',
          ),
        )
      }),
    )

  webhooks
    .command('create <url>')
    .description('Have events sent to a URL, and show the signing secret this once.')
    .addOption(new Option('--events <event...>', 'only these; all unless given').choices(EVENTS))
    .option('--description <text>', 'what it is for')
    .action((url, { events, description }) =>
      perform(async (session) => {
        const body = { url, ...(events && { events }), ...(description && { description }) }
        const made = unwrap(await (await session.connect()).POST('/v1/webhooks', { body }))
        session.out.show(made, () =>
          renderFacts({
            id: made.webhook_id,
            url: made.url,
            events: made.events.join(', ') || 'all',
            secret: made.secret,
          }),
        )
        session.out.note('The secret is shown this once.')
      }),
    )

  webhooks
    .command('delete <webhook_id>')
    .description('Send nothing to it any more.')
    .option('-y, --yes', "do not ask for the webhook's id")
    .action((webhook_id, { yes = false }) =>
      perform(async (session) => {
        await confirmName(session, webhook_id, `This removes the webhook ${webhook_id} and its secret`, yes)
        const api = await session.connect()
        await api.DELETE('/v1/webhooks/{webhook_id}', { params: { path: { webhook_id } } })
        session.out.show({ webhook_id, removed: true }, () => `Nothing is sent to ${webhook_id} any more.\n`)
      }),
    )

  webhooks
    .command('deliveries <webhook_id>')
    .description('The last deliveries, newest first: what was sent, and what came back.')
    .action((webhook_id) =>
      perform(async (session) => {
        const api = await session.connect()
        const page = unwrap(await api.GET('/v1/webhooks/{webhook_id}/deliveries', { params: { path: { webhook_id } } }))
        session.out.showPage(page, () => renderDeliveries(page.data))
      }),
    )
}

function renderDeliveries(deliveries: readonly Document<'WebhookDelivery'>[]): string {
  return renderTable(
    deliveries,
    [
      { title: 'MESSAGE', of: (one) => one.message_id },
      { title: 'EVENT', of: (one) => one.type },
      { title: 'STATUS', of: (one) => one.status },
      { title: 'ATTEMPTS', of: (one) => String(one.attempts), isNumber: true },
      { title: 'ANSWER', of: (one) => one.last_error ?? (one.last_status === null ? '-' : String(one.last_status)) },
      { title: 'NEXT', of: (one) => one.next_attempt_at ?? '-' },
      { title: 'CREATED', of: (one) => one.created_at },
    ],
    'No deliveries.',
  )
}
