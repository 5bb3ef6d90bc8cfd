import { z } from 'zod'
import { flag, port, readConfig, secret, urlList, wholeNumber } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { isTenantId } from '../tenancy/tenant.ts'
import { storageConfigShape } from './storage/config.ts'

/** Everything that the backend reads from its environment: name, rule and default. */
const schema = z.object({
  AERODB_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  /** Signs the contexts that we believe. */
  AERODB_INTERNAL_SECRET: secret,
  /** Open the servers' passwords; the first seals. */
  AERODB_ENCRYPTION_KEYS: z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .pipe(z.array(secret).min(1)),
  AERODB_REDIS_URL: urlList('redis:', 'rediss:'),
  AERODB_DATA_DIR: z.string().default('.aerodb'),
  AERODB_BACKEND_HOST: z.string().default('127.0.0.1'),
  AERODB_BACKEND_PORT: port.default(8083),
  /** The one tenant that this process serves; without it, all that come. */
  AERODB_BACKEND_TENANT: z.string().refine(isTenantId, 'must be a tenant id').optional(),
  /** Connections of this process to one database server, at most (the server's record may allow fewer). */
  AERODB_BACKEND_MAX_CONNECTIONS: wholeNumber(1, 1_000).default(16),
  AERODB_BACKEND_STATEMENT_TIMEOUT_MS: wholeNumber(100, 600_000).default(8_000),
  AERODB_BACKEND_MAX_BODY_BYTES: wholeNumber(1_024, 268_435_456).default(16_777_216),
  /** Rows of one answer, at most. */
  AERODB_BACKEND_MAX_ROWS: wholeNumber(1, 1_000_000).default(10_000),
  /** Lets requests ask for their plan (`Accept: application/vnd.pgrst.plan`), which tells of row counts and costs. */
  AERODB_BACKEND_PLANS: flag.default(false),
  /** Lets requests undo what they did (`Prefer: tx=rollback`): for tests of an app. */
  AERODB_BACKEND_TX_OVERRIDE: flag.default(false),
  /** Memory for tenants' schema caches. */
  AERODB_BACKEND_SCHEMA_CACHE_BYTES: wholeNumber(1_000_000).default(128_000_000),
  /** Lets a tenant's JWKS URL point at a private address (development). */
  AERODB_WEBHOOK_ALLOW_PRIVATE: flag.default(false),
  ...storageConfigShape,
})
export type BackendConfig = z.output<typeof schema>

/** @throws ConfigError with every violation. */
export function readBackendConfig(env?: Readonly<Record<string, string | undefined>>): BackendConfig {
  return readConfig(schema, env)
}
