import { Command, Option } from '@commander-js/extra-typings'
import packageFile from '../package.json' with { type: 'json' }
import { addAccessGrantCommands } from './commands/access-grants.ts'
import { addAccountCommands } from './commands/account.ts'
import { addAlertCommands } from './commands/alerts.ts'
import { addAuditCommands } from './commands/audits.ts'
import { addAvailabilityCommands } from './commands/availability.ts'
import { addBillingCommands } from './commands/billing.ts'
import { addCompletionCommand } from './commands/completion.ts'
import { addInvoiceCommands } from './commands/invoices.ts'
import { addKeyCommands } from './commands/keys.ts'
import { addOperationCommands } from './commands/operations.ts'
import { addOverviewCommands } from './commands/overview.ts'
import { addPlatformKeyCommands } from './commands/platform-keys.ts'
import { addPriceCommands } from './commands/prices.ts'
import { addServerCommands } from './commands/servers.ts'
import { addSettlementCommands } from './commands/settle-invoices.ts'
import { addTenantDetailCommands } from './commands/tenant-details.ts'
import { addTenantCommands } from './commands/tenants.ts'
import { addUsageCommands } from './commands/usage.ts'
import { addUsageOverTimeCommands } from './commands/usage-over-time.ts'
import { addWebhookCommands } from './commands/webhooks.ts'
import type { Perform } from './session.ts'

/** The whole command line; each command's work is handed to `perform`, so that it can be read without being run. */
export function makeProgram(perform: Perform) {
  const program = new Command('aerodb')
    .description('AeroDB Managed Hosting from the command line.')
    .version(packageFile.version)
    .option('--json', 'the result as the platform API has it, an error as JSON on stderr, no remarks')
    .option('-q, --quiet', 'no progress and no remarks')
    .option('--profile <name>', 'a profile that `aerodb login` has stored (AERODB_PROFILE)')
    .addOption(new Option('--local', 'the local platform that runs in this folder').conflicts('profile'))
    .option('--idempotency-key <key>', 'repeat a POST safely; made up unless given')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows how)')
    .configureHelp({ showGlobalOptions: true })
  const group = (name: string, description: string) => program.command(name).description(description)

  program.commandsGroup('Tenants:')
  const tenants = group('tenants', 'Tenants, by name or id.')
  addTenantCommands(tenants, perform)
  addTenantDetailCommands(tenants, perform)
  addKeyCommands(group('keys', "A tenant's keys, and how its JWTs are verified."), perform)
  addAccessGrantCommands(group('access-grants', "Access to a tenant's data, which the tenant approves."), perform)
  addOperationCommands(group('operations', 'What is under way.'), perform)

  program.commandsGroup('Usage and money:')
  const usage = group('usage', 'What tenants used.')
  addUsageCommands(usage, perform)
  addUsageOverTimeCommands(usage, perform)
  const invoices = group('invoices', 'Invoices and credit notes.')
  addInvoiceCommands(invoices, perform)
  addSettlementCommands(invoices, perform)
  addBillingCommands(program, perform)
  addPriceCommands(program, perform)

  program.commandsGroup('Availability:')
  addAvailabilityCommands(program, perform)
  addAlertCommands(program, perform)
  addWebhookCommands(group('webhooks', 'Where events are sent.'), perform)

  program.commandsGroup('The platform:')
  addOverviewCommands(program, perform)
  addServerCommands(program, perform)
  addAuditCommands(program, perform)
  addPlatformKeyCommands(group('platform-keys', 'Keys of this API, by role.'), perform)

  program.commandsGroup('This machine:')
  addAccountCommands(program, perform)
  addCompletionCommand(program, perform)
  return program
}
