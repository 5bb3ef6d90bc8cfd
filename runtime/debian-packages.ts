import { spawn } from 'node:child_process'
import { access } from 'node:fs/promises'

export type InstallOutcome = { isInstalled: true } | { isInstalled: false; why: string }

/** Several programs of ours may want apt at once: each waits for its lock this long. */
const LOCK_WAIT_SECONDS = 300

/**
 * Installs Debian packages where that is possible: with apt, as root. Services that the packages bring are not started
 * (`RUNLEVEL=1` keeps invoke-rc.d from it): what we run we start ourselves. Whether the wanted program is there
 * afterwards is for the caller to look at, who also says how a person would get it.
 */
export async function installDebianPackages(packages: readonly string[]): Promise<InstallOutcome> {
  const hasApt = await access('/usr/bin/apt-get').then(
    () => true,
    () => false,
  )
  if (!hasApt) return { isInstalled: false, why: 'there is no apt to install it with' }
  if (process.getuid?.() !== 0) return { isInstalled: false, why: 'only root may install it with apt' }
  const update = await apt('update')
  const install = await apt('install', '-y', '--no-install-recommends', ...packages)
  if (install.code === 0) return { isInstalled: true }
  return { isInstalled: false, why: `apt says:\n${`${update.output}${install.output}`.trim().slice(-1_000)}` }
}

async function apt(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn('apt-get', ['-q', '-o', `DPkg::Lock::Timeout=${LOCK_WAIT_SECONDS}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise<number | null>((resolve) =>
    child.once('error', () => resolve(-1)).once('close', resolve),
  )
  return { code, output }
}
