import { z } from 'zod'
import { domainName, flag, port, readConfig, secret, url, urlList, wholeNumber } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { parseKeyKind } from '../tenancy/key.ts'
import { ISOLATIONS } from '../tenancy/plan.ts'
import { type DnsConfig, dnsConfigShape } from './dns/dns-config.ts'
import { kubernetesConfigShape } from './provisioners/kubernetes/kubernetes-config.ts'

const secretList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()))
  .pipe(z.array(secret).min(1))

/** `name@host`, or `Name <name@host>`; no line breaks, which would be headers. */
const mailAddress = z
  .string()
  .max(320)
  .regex(/^(?:[^<>\r\n@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/, 'must be a mail address')

const platformKey = z
  .string()
  .refine((key) => parseKeyKind(key) === 'platform', 'must be a platform key (aero_platform_...)')

const schema = z.object({
  AERODB_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  AERODB_CONTROL_HOST: z.string().default('127.0.0.1'),
  AERODB_CONTROL_PORT: port.default(8081),
  AERODB_DOMAIN: domainName.default('localhost'),
  AERODB_DATA_DIR: z.string().default('.aerodb'),
  AERODB_PLAN_CATALOGUE: z.string().optional(),
  /** The folder with the built dashboard; without it control serves the API alone. */
  AERODB_DASHBOARD_DIR: z.string().optional(),
  AERODB_DATABASE_URL: url('postgres:', 'postgresql:'),
  AERODB_SHARED_DATABASE_URLS: urlList('postgres:', 'postgresql:'),
  AERODB_REDIS_URL: urlList('redis:', 'rediss:'),
  /** The shared backends, for access that tenants grant; without them there is none. */
  AERODB_BACKEND_URLS: urlList('http:', 'https:').optional(),
  AERODB_METERING_URL: url('http:', 'https:'),
  AERODB_INTERNAL_SECRET: secret,
  AERODB_ENCRYPTION_KEYS: secretList,
  AERODB_PLATFORM_KEY: platformKey.optional(),
  /** A second platform key, which may only look (`viewer`): for Prometheus. */
  AERODB_MONITORING_KEY: platformKey.optional(),
  /**
   * The isolations that are offered here. Tenants' own servers (`database`) listen on control's loopback address: leave it out
   * where the backends run on other machines.
   */
  AERODB_ISOLATIONS: z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .pipe(z.array(z.enum(ISOLATIONS, `must be some of ${ISOLATIONS.join(', ')}`)).min(1))
    .default([...ISOLATIONS]),
  /** Seconds without a request after which a tenant's own server is paused; 0 never pauses. */
  AERODB_PAUSE_AFTER_SECONDS: wholeNumber(0, 86_400).default(900),
  /** Whether tenants' own servers go on when control is stopped by a signal (they do when it is killed). */
  AERODB_KEEP_TENANT_SERVERS: flag.default(false),
  /**
   * The address, reachable for gateways, that backend processes of cluster tenants listen on; without it they have none of
   * their own and the shared ones serve them.
   */
  AERODB_DEDICATED_BACKEND_HOST: z.string().optional(),
  /** Seconds between two isolation audits; 0 makes one only when it is asked for. */
  AERODB_ISOLATION_AUDIT_SECONDS: wholeNumber(0, 604_800).default(3_600),
  /** Wrong platform keys that one address may send in a minute; 0 never slows anybody. */
  AERODB_CONTROL_FAILED_KEYS_PER_MINUTE: wholeNumber(0, 1_000_000).default(100),
  AERODB_WEBHOOK_ALLOW_PRIVATE: flag.default(false),
  /** Gateways through which tenants are looked after; without them nothing is measured and no tenant's outage is told. */
  AERODB_PROBE_URLS: urlList('http:', 'https:').optional(),
  /** A tenant that nobody asks for is looked at once in so long. */
  AERODB_PROBE_INTERVAL_MS: wholeNumber(500, 60_000).default(15_000),
  AERODB_PROBE_TIMEOUT_MS: wholeNumber(100, 30_000).default(3_000),
  /** A tenant that does not answer for longer is an alert. */
  AERODB_ALERT_AFTER_SECONDS: wholeNumber(1, 3_600).default(60),
  /** Mails alerts: `smtp://user:password@host:port` or `smtps://`; needs the two below. */
  AERODB_SMTP_URL: url('smtp:', 'smtps:').optional(),
  AERODB_ALERT_EMAIL_FROM: mailAddress.default('AeroDB <alerts@localhost>'),
  AERODB_ALERT_EMAIL_TO: z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .pipe(z.array(mailAddress).min(1).max(20))
    .optional(),
  /** Tells alerts to an Alertmanager, by its address without `/api/v2`. */
  AERODB_ALERTMANAGER_URL: url('http:', 'https:').optional(),
  /** Where the gateway's certificates lie, to tell before they run out. */
  AERODB_GATEWAY_TLS_DIRECTORY: z.string().optional(),
  ...kubernetesConfigShape,
})

export type ControlConfig = z.output<typeof schema> & DnsConfig

/**
 * Reads what control needs from the environment (defaults and meanings: contract, section 2).
 * @throws ConfigError with every violation.
 */
export function readControlConfig(env: Readonly<Record<string, string | undefined>> = process.env): ControlConfig {
  return readConfig(z.object({ ...schema.shape, ...dnsConfigShape(env) }), env)
}
