import { resolve } from 'node:path'
import { z } from 'zod'
import { domainName, flag, port, readConfig, urlList, wholeNumber } from '../runtime/config.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { parseKeyKind } from '../tenancy/key.ts'

const schema = z.object({
  AERODB_DOMAIN: domainName.default('localhost'),
  AERODB_GATEWAY_HOST: z.string().default('127.0.0.1'),
  AERODB_GATEWAY_PORT: port.default(8080),
  AERODB_GATEWAY_ADMIN_PORT: port.default(9090),
  AERODB_GATEWAY_WORKERS: wholeNumber(1, 256).optional(),
  AERODB_CONTROL_PORT: port.default(8081),
  /** Nobody but the platform itself and its monitoring asks there: any free port will do. */
  AERODB_METERING_PORT: port.default(0),
  AERODB_BACKEND_PORT: port.default(0),
  AERODB_DATA_DIR: z
    .string()
    .default('.aerodb')
    .transform((path) => resolve(path)),
  AERODB_DATABASE_URL: urlList('postgres:', 'postgresql:').optional(),
  AERODB_SHARED_DATABASE_URLS: urlList('postgres:', 'postgresql:').optional(),
  AERODB_REDIS_URL: urlList('redis:', 'rediss:').optional(),
  AERODB_PLATFORM_KEY: z
    .string()
    .refine((key) => parseKeyKind(key) === 'platform', 'must be a platform key (aero_platform_...) with its checksum')
    .optional(),
  AERODB_WEBHOOK_ALLOW_PRIVATE: flag.default(false),
  AERODB_LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
})

export type UpConfig = z.output<typeof schema>

/** The launcher's configuration, with the embedded defaults. @throws ConfigError with every violation. */
export function readUpConfig(env: Readonly<Record<string, string | undefined>> = process.env): UpConfig {
  return readConfig(schema, env)
}
