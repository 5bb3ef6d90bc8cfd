import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { installDebianPackages } from '../../../runtime/debian-packages.ts'

const PROGRAM = '/usr/sbin/pdns_server'
const SCHEMA = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'
const HOW = 'Install it: `sudo apt-get install pdns-server pdns-backend-sqlite3` (Debian/Ubuntu).'

export type PowerDnsPrograms = { server: string; schemaFile: string }

/**
 * The PowerDNS server that the tests run; installs Debian's packages when they are missing and we may. The service that
 * the package brings is not left running: the tests start servers of their own.
 * @throws Error saying how to get it.
 */
export async function ensurePowerDns(): Promise<PowerDnsPrograms> {
  const programs = { server: PROGRAM, schemaFile: SCHEMA }
  if (await isThere()) return programs
  const outcome = await installDebianPackages(['pdns-server', 'pdns-backend-sqlite3'])
  if (outcome.isInstalled) await disableService()
  if (await isThere()) return programs
  const why = outcome.isInstalled ? 'the packages brought none' : outcome.why
  throw new Error(`The DNS tests need a real PowerDNS, and ${why}. ${HOW}`)
}

async function isThere(): Promise<boolean> {
  return (await canRead(PROGRAM)) && (await canRead(SCHEMA))
}

async function canRead(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}

/** Where systemd runs, the package has started and enabled its service. */
async function disableService(): Promise<void> {
  if (!(await canRead('/run/systemd/system'))) return
  const child = spawn('systemctl', ['disable', '--now', 'pdns.service'], { stdio: 'ignore' })
  await new Promise<void>((resolve) => child.once('error', () => resolve()).once('close', () => resolve()))
}
