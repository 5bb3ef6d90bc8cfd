import type { Readable } from 'node:stream'
import { Option } from '@commander-js/extra-typings'
import { type Document, type PlatformClient, unwrap } from '../../client/platform-client.ts'
import { deliver, streamBody } from '../deliver.ts'
import { CliFault, EXIT } from '../fault.ts'
import { findTenant } from '../find-tenant.ts'
import { readPages } from '../read-pages.ts'
import { readMonth, readPositive } from '../read-quantity.ts'
import type { Perform } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'

type Format = 'json' | 'csv' | 'pdf'

/** `aerodb invoices` */
export function addInvoiceCommands(invoices: Group, perform: Perform): void {
  invoices
    .command('list [tenant]')
    .description("List a tenant's invoices, drafts first; without a tenant, those that were issued to all.")
    .option('--month <YYYY-MM>', 'of this month', readMonth)
    .addOption(new Option('--state <state>', 'in this state').choices(['draft', 'issued', 'paid', 'void'] as const))
    .addOption(new Option('--kind <kind>', 'of this kind').choices(['invoice', 'credit_note'] as const))
    .option('--limit <count>', 'as many at most', readPositive, 50)
    .option('--all', 'all of them')
    .action((reference, { month, state, kind, limit, all }) =>
      perform(async (session) => {
        const api = await session.connect()
        const filter = { ...(month && { month }), ...(state && { state }), ...(kind && { kind }) }
        const tenant_id = reference === undefined ? undefined : (await findTenant(api, reference, 'any')).tenant_id
        const page = await readPages({ limit, all }, async (paging) => {
          const query = { ...filter, ...paging }
          return unwrap(
            tenant_id === undefined
              ? await api.GET('/v1/invoices', { params: { query } })
              : await api.GET('/v1/tenants/{tenant_id}/invoices', { params: { path: { tenant_id }, query } }),
          )
        })
        session.out.showPage(page, () => renderInvoices(page.data))
      }),
    )

  invoices
    .command('get <invoice> [month]')
    .description('An invoice or credit note by its id, or the invoice of a tenant and month; of an open month a draft.')
    .usage('[options] <invoice_id> | <tenant> <month>')
    .addOption(
      new Option('--format <format>', 'its form').choices(['json', 'csv', 'pdf'] as const).default('json' as const),
    )
    .option('-o, --output <file>', 'write it to this file; `-` is stdout, as without it')
    .option('-f, --force', 'replace a file that is there')
    .action((reference, month, { format, output, force = false }) =>
      perform(async (session) => {
        const toStdout = output === undefined || output === '-'
        if (toStdout && format === 'pdf' && process.stdout.isTTY)
          throw new CliFault(EXIT.usage, 'binary_to_terminal', 'A PDF does not go to a terminal.', 'Give --output.')
        const content = await readInvoice(await session.connect(), reference, month, format)
        await deliver(session, content, { output, force, format })
      }),
    )
}

/** Reads an invoice by its id, or that of a tenant's month. @throws CliFault for a tenant without a month. */
async function readInvoice(
  api: PlatformClient,
  reference: string,
  month: string | undefined,
  format: Format,
): Promise<Readable> {
  const query = { format }
  // A tenant's name is a DNS label: it has no underscore.
  if (reference.startsWith('inv_')) {
    const path = { invoice_id: reference }
    return streamBody(await api.GET('/v1/invoices/{invoice_id}', { params: { path, query }, parseAs: 'stream' }))
  }
  if (month === undefined)
    throw new CliFault(EXIT.usage, 'no_month', 'A tenant has an invoice a month.', 'Name the month: YYYY-MM.')
  const { tenant_id } = await findTenant(api, reference, 'any')
  const path = { tenant_id, month: readMonth(month) }
  return streamBody(
    await api.GET('/v1/tenants/{tenant_id}/invoices/{month}', { params: { path, query }, parseAs: 'stream' }),
  )
}

/** Invoices and credit notes as a table. */
export function renderInvoices(invoices: readonly Document<'Invoice'>[]): string {
  return renderTable(
    invoices,
    [
      { title: 'MONTH', of: (one) => one.month },
      { title: 'NUMBER', of: (one) => one.number ?? '-' },
      { title: 'STATE', of: (one) => one.state },
      { title: 'TOTAL', of: (one) => `${one.total} ${one.currency}`, isNumber: true },
      { title: 'ID', of: (one) => one.invoice_id ?? '-' },
    ],
    'No invoices.',
  )
}
