import { type Logger, pino, stdTimeFunctions } from 'pino'

export type { Logger }

/** Names under which a secret could slip into a log line; their values are replaced. */
const SECRET_PATHS = ['password', 'secret', 'authorization', 'apikey', 'token', 'database_url', 'databaseUrl'].flatMap(
  (name) => [name, `*.${name}`],
)

/**
 * Makes the logger of one process: JSON lines on standard output, UTC times, secrets replaced.
 * `AERODB_LOG_LEVEL` is read by the caller's configuration and passed in.
 */
export function makeLogger(service: string, level = 'info'): Logger {
  return pino({
    level,
    base: { service, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    formatters: { level: (label) => ({ level: label }) },
  })
}

/** Log levels that configuration may name. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
