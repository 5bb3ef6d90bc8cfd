import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { domainName, flag, port, readConfig, secret, url, urlList, wholeNumber } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'

/** What a limit does while Redis is away: a bounded local budget, let all pass, or refuse all (503). */
export const AWAY_POLICIES = ['local', 'open', 'closed'] as const
export type AwayPolicy = (typeof AWAY_POLICIES)[number]

const secretList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()))
  .pipe(z.array(secret).min(1))

const schema = z.object({
  AERODB_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  AERODB_DOMAIN: domainName.default('localhost'),
  AERODB_DATA_DIR: z.string().default('.aerodb'),
  AERODB_INTERNAL_SECRET: secret,
  AERODB_ENCRYPTION_KEYS: secretList,
  AERODB_REDIS_URL: urlList('redis:', 'rediss:'),
  AERODB_CONTROL_URL: url('http:').default('http://127.0.0.1:8081'),
  AERODB_METERING_URL: url('http:').default('http://127.0.0.1:8082'),
  AERODB_BACKEND_URLS: urlList('http:').default(['http://127.0.0.1:8083']),
  AERODB_GATEWAY_HOST: z.string().default('127.0.0.1'),
  AERODB_GATEWAY_PORT: port.default(8080),
  AERODB_GATEWAY_ADMIN_PORT: port.default(9090),
  AERODB_GATEWAY_ADMIN_HOST: z.string().default('127.0.0.1'),
  AERODB_GATEWAY_WORKERS: wholeNumber(1, 256).default(availableParallelism()),
  AERODB_WEBHOOK_ALLOW_PRIVATE: flag.default(false),
  /** Requests in flight on one connection to our own backends; 1 turns pipelining off. */
  AERODB_GATEWAY_SHARED_PIPELINING: wholeNumber(1, 256).default(16),
  /** Tenants kept in memory by each worker. */
  AERODB_GATEWAY_MAX_TENANTS: wholeNumber(1, 10_000_000).default(20_000),
  /** `local`: this gateway's worker alone enforces the whole limit; so the sum is bounded by limit × workers. */
  AERODB_GATEWAY_RATE_LIMIT_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
  /** `local`: each worker admits a bounded number per tenant, then refuses with 503. */
  AERODB_GATEWAY_QUOTA_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
  AERODB_GATEWAY_CONNECTIONS_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
})

export type GatewayConfig = z.output<typeof schema>

/** @throws ConfigError with every violation. */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>> = process.env): GatewayConfig {
  return readConfig(schema, env)
}
