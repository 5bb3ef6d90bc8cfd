import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { domainName, flag, port, readConfig, secret, url, urlList, wholeNumber } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { FORWARDED_SOURCES, isAddressRange } from './client-address.ts'

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
  /** Requests under way in each worker at most; tenants share the room fairly when it gets scarce. */
  AERODB_GATEWAY_MAX_UNDER_WAY: wholeNumber(8, 1_000_000).default(1_024),
  /** Tenants kept in memory by each worker. */
  AERODB_GATEWAY_MAX_TENANTS: wholeNumber(1, 10_000_000).default(20_000),
  /** `local`: this gateway's worker alone enforces the whole limit; so the sum is bounded by limit × workers. */
  AERODB_GATEWAY_RATE_LIMIT_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
  /** `local`: each worker admits a bounded number per tenant, then refuses with 503. */
  AERODB_GATEWAY_QUOTA_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
  /** Wrong keys and tokens that one address may send each worker in a minute; 0 never slows anybody. */
  AERODB_GATEWAY_FAILED_KEYS_PER_MINUTE: wholeNumber(0, 1_000_000).default(300),
  /** Addresses and CIDR ranges of proxies whose `X-Forwarded-For` and `-Proto`, or `Forwarded`, are believed. */
  AERODB_GATEWAY_TRUSTED_PROXIES: z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .pipe(z.array(z.string().refine(isAddressRange, 'must be addresses or CIDR ranges, separated by commas')))
    .default([]),
  /** The field that they write; a proxy passes a client's other one on as it came. `any`: `X-Forwarded-For` before `Forwarded`. */
  AERODB_GATEWAY_TRUSTED_PROXIES_WRITE: z.enum(FORWARDED_SOURCES).default('any'),
  /** With a directory of certificates (`<name>.crt` and `<name>.key`), TLS and HTTP/2 are served at the TLS port. */
  AERODB_GATEWAY_TLS_DIRECTORY: z.string().optional(),
  AERODB_GATEWAY_TLS_PORT: port.default(8443),
  /** The part of requests that get a line in the log, 0 to 1; server faults always do. */
  AERODB_GATEWAY_ACCESS_LOG_SAMPLE: z
    .string()
    .regex(/^(?:0|1|0?\.\d{1,9})$/, 'must be a number from 0 to 1')
    .transform(Number)
    .default(0),
  AERODB_GATEWAY_MAX_BODY_BYTES: wholeNumber(1).default(5_000_000_000),
  AERODB_GATEWAY_MAX_HEADER_BYTES: wholeNumber(1_024, 1_048_576).default(32_768),
  AERODB_GATEWAY_MAX_TARGET_BYTES: wholeNumber(256, 1_048_576).default(16_384),
  /** For the whole head of a request. */
  AERODB_GATEWAY_HEAD_TIMEOUT_MS: wholeNumber(100, 600_000).default(15_000),
  /** Without a byte of a body that the client is sending, or of an answer that it should read. */
  AERODB_GATEWAY_BODY_IDLE_MS: wholeNumber(100, 3_600_000).default(30_000),
  /**
   * So long connections are still taken after the signal to stop, while `/readyz` says 503: longer than a load balancer's check
   * takes to notice. Those that arrive as the port closes are reset by the kernel.
   */
  AERODB_GATEWAY_STOP_DELAY_MS: wholeNumber(0, 10_000).default(0),
  AERODB_GATEWAY_KEEP_ALIVE_MS: wholeNumber(100, 3_600_000).default(65_000),
  AERODB_GATEWAY_CONNECTIONS_WHEN_REDIS_AWAY: z.enum(AWAY_POLICIES).default('local'),
})

export type GatewayConfig = z.output<typeof schema>

/** @throws ConfigError with every violation. */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>> = process.env): GatewayConfig {
  return readConfig(schema, env)
}
