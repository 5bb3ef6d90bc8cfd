import { installDebianPackages } from '../runtime/debian-packages.ts'
import { findRedisProgram } from '../runtime/redis-server.ts'
import { Remedy } from './remedy.ts'

const HOW =
  'Install one (Debian/Ubuntu: `sudo apt-get install redis-server`, Fedora: `sudo dnf install valkey`, macOS: `brew install redis`), or name a running one: AERODB_REDIS_URL=redis://host:6379.'

/**
 * The path of a Redis (or Valkey) server program; installs `redis-server` with apt when there is none and we may.
 * @throws Remedy saying how to get one.
 */
export async function ensureRedis(onProgress: (text: string) => void): Promise<string> {
  const found = await findRedisProgram()
  if (found !== undefined) return found
  onProgress('installing redis-server with apt')
  const outcome = await installDebianPackages(['redis-server'])
  const installed = await findRedisProgram()
  if (installed !== undefined) return installed
  const why = outcome.isInstalled ? 'the package brought none' : outcome.why
  throw new Remedy(`There is no redis-server or valkey-server on this machine, and ${why}.`, HOW)
}
