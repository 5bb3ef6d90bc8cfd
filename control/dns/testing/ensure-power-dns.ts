import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'

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
  const hasApt = await canRead('/usr/bin/apt-get')
  if (!hasApt || process.getuid?.() !== 0) throw new Error(`The DNS tests need a real PowerDNS. ${HOW}`)
  const lock = ['-o', 'DPkg::Lock::Timeout=300']
  const packages = ['pdns-server', 'pdns-backend-sqlite3']
  const update = await run('apt-get', ['-q', ...lock, 'update'])
  const install = await run('apt-get', ['-q', ...lock, 'install', '-y', '--no-install-recommends', ...packages])
  // Where systemd runs, the package has started and enabled its service.
  if (await canRead('/run/systemd/system')) await run('systemctl', ['disable', '--now', 'pdns.service'])
  if (await isThere()) return programs
  throw new Error(`apt could not install PowerDNS:\n${`${update}${install}`.trim().slice(-1_000)}\n${HOW}`)
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

/** RUNLEVEL=1 keeps invoke-rc.d from starting services. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await new Promise<void>((resolve) => child.once('error', () => resolve()).once('close', () => resolve()))
  return output
}
