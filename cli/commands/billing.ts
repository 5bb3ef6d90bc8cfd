import { InvalidArgumentError } from '@commander-js/extra-typings'
import { formatMoney } from '../../client/format.ts'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { CliFault, EXIT } from '../fault.ts'
import { findTenant } from '../find-tenant.ts'
import { readMoney } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb spend`, `credits`, `customer` */
export function addBillingCommands(program: Group, perform: Perform): void {
  addSpendCommands(program.command('spend').description('What a tenant spends this month, and its limits.'), perform)
  addCreditCommands(program.command('credits').description('What coming invoices give back.'), perform)
  addCustomerCommands(program.command('customer').description("Whom a tenant's invoices name."), perform)
}

function addSpendCommands(spend: Group, perform: Perform): void {
  spend
    .command('get <tenant>')
    .description('What it has spent this month, and its limits.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const found = unwrap(await api.GET('/v1/tenants/{tenant_id}/spend', { params: { path: { tenant_id } } }))
        session.out.show(found, () => renderSpend(found))
      }),
    )

  spend
    .command('limit <tenant>')
    .description('Set amounts to be told of and a cap that suspends the tenant, in place of all that was set before.')
    .option('--alert <money...>', 'tell when the month reaches it, such as 50 100.50', readAmounts)
    .option('--cap <money>', 'suspend the tenant when the month reaches it', readMoney)
    .option('--none', 'no limits any more')
    .action((reference, { alert, cap, none = false }) =>
      perform(async (session) => {
        if (!none && alert === undefined && cap === undefined)
          throw new CliFault(EXIT.usage, 'nothing_to_set', 'Give --alert, --cap or --none.')
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const body = none ? {} : { alerts_micros: alert ?? [], cap_micros: cap ?? null }
        const now = unwrap(
          await api.PUT('/v1/tenants/{tenant_id}/spend-limits', { params: { path: { tenant_id } }, body }),
        )
        session.out.show(now, () => renderSpend(now))
      }),
    )
}

function addCreditCommands(credits: Group, perform: Perform): void {
  credits
    .command('list <tenant>')
    .description('List its credits, and how much of each is used.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const page = unwrap(await api.GET('/v1/tenants/{tenant_id}/credits', { params: { path: { tenant_id } } }))
        session.out.show(page, () => renderCredits(page.data))
      }),
    )

  credits
    .command('add <tenant> <key>')
    .description('Give something back by the next invoice, once for one key (a ticket, a campaign).')
    .requiredOption('--amount <money>', 'how much, such as 12.50, in the currency of the price list', readMoney)
    .requiredOption('--reason <text>', 'what the invoice says')
    .action((reference, key, { amount, reason }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const credit = unwrap(
          await api.PUT('/v1/tenants/{tenant_id}/credits/{key}', {
            params: { path: { tenant_id, key } },
            body: { reason, amount_micros: amount },
          }),
        )
        session.out.show(credit, () => renderCredits([credit]))
      }),
    )
}

function addCustomerCommands(customer: Group, perform: Perform): void {
  customer
    .command('get <tenant>')
    .description('Show it.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const found = unwrap(await api.GET('/v1/tenants/{tenant_id}/customer', { params: { path: { tenant_id } } }))
        session.out.show(found, () => renderCustomer(found))
      }),
    )

  customer
    .command('set <tenant>')
    .description('Set it for the invoices to come, in place of all that was set before.')
    .requiredOption('--name <name>', 'the person or company')
    .option('--address <line...>', 'the address, a line each')
    .option('--email <address>', 'where invoices go')
    .option('--tax-id <id>', 'the tax id')
    .action((reference, { name, address, email, taxId }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference, 'any')
        const body = { name, ...(address && { address }), ...(email && { email }), ...(taxId && { tax_id: taxId }) }
        const now = unwrap(await api.PUT('/v1/tenants/{tenant_id}/customer', { params: { path: { tenant_id } }, body }))
        session.out.show(now, () => renderCustomer(now))
      }),
    )
}

/** One amount more of an option that takes several. */
function readAmounts(text: string, before: number[] = []): number[] {
  const amount = readMoney(text)
  if (amount === 0) throw new InvalidArgumentError('It must be more than nothing.')
  return [...before, amount]
}

function renderSpend(spend: Document<'Spend'>): string {
  const money = (micros: number) =>
    spend.currency === null ? String(micros / 1_000_000) : formatMoney(micros, spend.currency)
  return renderFacts({
    month: spend.month,
    spent: money(spend.total_micros),
    alerts: spend.alerts_micros.map(money).join(', ') || 'none',
    cap: spend.cap_micros === null ? 'none' : `${money(spend.cap_micros)}${spend.cap_reached ? ' (reached)' : ''}`,
  })
}

function renderCredits(credits: readonly Document<'Credit'>[]): string {
  const amount = (micros: number) => (micros / 1_000_000).toFixed(2)
  return renderTable(
    credits,
    [
      { title: 'KEY', of: (one) => one.key },
      { title: 'AMOUNT', of: (one) => amount(one.amount_micros), isNumber: true },
      { title: 'USED', of: (one) => amount(one.used_micros), isNumber: true },
      { title: 'CREATED', of: (one) => one.created_at },
      { title: 'REASON', of: (one) => one.reason },
    ],
    'No credits.',
  )
}

function renderCustomer(customer: Document<'Customer'>): string {
  return renderFacts({
    name: customer.name ?? 'not set; invoices name the tenant',
    address: customer.address.join(', ') || undefined,
    'e-mail': customer.email ?? undefined,
    'tax id': customer.tax_id ?? undefined,
  })
}
