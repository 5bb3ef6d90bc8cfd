import type { ControlConfig } from '../../config.ts'

/** What control holds and a backend must not. */
const WITHHELD = [
  'AERODB_DATABASE_URL',
  'AERODB_SHARED_DATABASE_URLS',
  'AERODB_PLATFORM_KEY',
  'AERODB_MONITORING_KEY',
  'AERODB_SMTP_URL',
]

/**
 * The environment of a backend process that control starts: what control was started with and a backend reads too (where files
 * lie, limits), and what both must agree on.
 */
export function makeBackendEnvironment(
  config: ControlConfig,
  host: string,
  inherited: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const passedOn = Object.entries(inherited).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('AERODB_') && !WITHHELD.includes(entry[0]) && entry[1] !== undefined,
  )
  return {
    ...Object.fromEntries(passedOn),
    AERODB_LOG_LEVEL: config.AERODB_LOG_LEVEL,
    AERODB_INTERNAL_SECRET: config.AERODB_INTERNAL_SECRET,
    AERODB_ENCRYPTION_KEYS: config.AERODB_ENCRYPTION_KEYS.join(','),
    AERODB_REDIS_URL: config.AERODB_REDIS_URL.join(','),
    AERODB_DATA_DIR: config.AERODB_DATA_DIR,
    AERODB_BACKEND_HOST: host,
  }
}
