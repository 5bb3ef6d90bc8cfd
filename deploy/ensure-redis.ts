import { spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { findRedisProgram } from '../runtime/redis-server.ts'
import { Remedy } from './remedy.ts'

/**
 * The path of a Redis (or Valkey) server program; installs `redis-server` with apt when there is none and we may.
 * @throws Remedy saying how to get one.
 */
export async function ensureRedis(onProgress: (text: string) => void): Promise<string> {
  const found = await findRedisProgram()
  if (found !== undefined) return found
  const remedy =
    'Install one (Debian/Ubuntu: `sudo apt-get install redis-server`, Fedora: `sudo dnf install valkey`, macOS: `brew install redis`), or name a running one: AERODB_REDIS_URL=redis://host:6379.'
  const hasApt = await access('/usr/bin/apt-get').then(
    () => true,
    () => false,
  )
  if (!hasApt || process.getuid?.() !== 0) {
    const why = hasApt ? 'and only root may install one with apt' : 'and there is no apt to install one with'
    throw new Remedy(`There is no redis-server or valkey-server on this machine, ${why}.`, remedy)
  }
  onProgress('installing redis-server with apt')
  const update = await apt('update')
  const install = await apt('install', '-y', '--no-install-recommends', 'redis-server')
  const installed = await findRedisProgram()
  if (installed !== undefined) return installed
  throw new Remedy(`apt could not install redis-server:\n${`${update}${install}`.trim().slice(-1_000)}`, remedy)
}

/** Runs apt-get; the package's own service is not started: we start a server of our own. */
async function apt(...args: readonly string[]): Promise<string> {
  const child = spawn('apt-get', ['-q', ...args], {
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
