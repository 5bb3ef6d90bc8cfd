import { type Document, unwrap } from '../../client/platform-client.ts'
import { EXIT } from '../fault.ts'
import { readMoney, readMonth } from '../read-quantity.ts'
import { confirmName, type Perform, type Session } from '../session.ts'
import { renderTable } from '../table.ts'
import type { Group } from './group.ts'
import { renderInvoices } from './invoices.ts'

/** `aerodb invoices close`, `pay`, `void`, `credit` */
export function addSettlementCommands(invoices: Group, perform: Perform): void {
  invoices
    .command('close')
    .description(
      'Issue the invoices of a month that is over, as happens by itself; exit code 3 when some could not be.',
    )
    .option('--month <YYYY-MM>', 'the month; the last one unless given', readMonth)
    .action(({ month }) =>
      perform(async (session) => {
        const api = await session.connect()
        const query = month === undefined ? {} : { month }
        const result = unwrap(await api.POST('/v1/invoices/close', { params: { query } }))
        session.out.show(result, () => renderClosed(result))
        if (result.failed.length > 0) process.exitCode = EXIT.refused
      }),
    )

  invoices
    .command('pay <invoice_id>')
    .description('Mark an invoice as paid.')
    .option('--note <text>', 'how')
    .action((invoice_id, { note }) =>
      perform((session) => settle(session, invoice_id, 'pay', note === undefined ? {} : { note })),
    )

  invoices
    .command('void <invoice_id>')
    .description('Make an invoice void, for good.')
    .requiredOption('--reason <text>', 'why')
    .option('-y, --yes', "do not ask for the invoice's id")
    .action((invoice_id, { reason, yes = false }) =>
      perform(async (session) => {
        await confirmName(session, invoice_id, `This makes ${invoice_id} void for good`, yes)
        await settle(session, invoice_id, 'void', { reason })
      }),
    )

  invoices
    .command('credit <invoice_id>')
    .description('Correct an invoice by a credit note.')
    .requiredOption('--reason <text>', 'why')
    .option('--amount <money>', 'how much, such as 12.50; all that is left unless given', readMoney)
    .action((invoice_id, { reason, amount }) =>
      perform((session) =>
        settle(session, invoice_id, 'credit-notes', {
          reason,
          ...(amount !== undefined && { amount_micros: amount }),
        }),
      ),
    )
}

async function settle(
  session: Session,
  invoice_id: string,
  act: 'pay' | 'void' | 'credit-notes',
  body: Document<'InvoiceAct'>,
): Promise<void> {
  const api = await session.connect()
  const invoice = unwrap(
    await api.POST('/v1/invoices/{invoice_id}/{act}', { params: { path: { invoice_id, act } }, body }),
  )
  session.out.show(invoice, () => renderInvoices([invoice]))
}

function renderClosed({ month, closed, failed }: Document<'ClosedMonth'>): string {
  const summary = `${month}: ${closed} issued, ${failed.length} not.\n`
  if (failed.length === 0) return summary
  return `${summary}\n${renderTable(
    failed,
    [
      { title: 'TENANT', of: (one) => one.tenant_id },
      { title: 'CODE', of: (one) => one.code },
      { title: 'DETAIL', of: (one) => one.detail },
    ],
    '',
  )}`
}
