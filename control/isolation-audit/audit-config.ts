import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ConfigError, domainName, readConfig, secret, url, urlList } from '../../runtime/config.ts'

/** What one run from the command line works on. */
export type AuditCommand = {
  isJson: boolean
  metadataUrl: string | undefined
  sharedUrls: readonly string[]
  dataDirectory: string | undefined
  /** Where gateways and backends are told of tenants. */
  redisUrls: readonly string[] | undefined
  /** Backends that are asked around the gateway. */
  backendUrls: readonly string[]
  /** Where tenants' own servers of this machine have their data. */
  tenantsDirectory: string | undefined
  internalSecret: string | undefined
  canary: { gatewayUrl: string; domain: string; platformKey: string } | undefined
  accept: readonly string[]
}

export const USAGE = `npm run audit:isolation -- [--endpoints FILE] [--json] [--no-canary] [--accept CODE[:OBJECT]]...

Reads the servers from AERODB_DATABASE_URL and AERODB_SHARED_DATABASE_URLS where those are set, else from the endpoints file
of a running platform (<data dir>/endpoints.json). Tenants' own servers are those that run below the folder of that file, or
below AERODB_DATA_DIR: run it as the user that control runs as. Ends with 0 when the walls stand, 1 on any finding, 2 when it could not run.`

const schema = z.object({
  AERODB_DATA_DIR: z.string().default('.aerodb'),
  AERODB_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  AERODB_SHARED_DATABASE_URLS: urlList('postgres:', 'postgresql:').optional(),
  AERODB_REDIS_URL: urlList('redis:', 'rediss:').optional(),
  AERODB_BACKEND_URLS: urlList('http:', 'https:').optional(),
  AERODB_INTERNAL_SECRET: secret.optional(),
  AERODB_DOMAIN: domainName.default('localhost'),
  AERODB_PLATFORM_KEY: z.string().optional(),
  /** The gateway that canary tenants are probed through, where the servers come from the environment. */
  AERODB_GATEWAY_URL: url('http:', 'https:').optional(),
  /** Comma list of accepted findings. */
  AERODB_AUDIT_ACCEPT: z
    .string()
    .default('')
    .transform((text) => text.split(',').filter((entry) => entry !== '')),
})

const endpointsSchema = z.object({
  gateway: z.string(),
  domain: z.string(),
  platform_key: z.string(),
  metadata_database_url: z.string(),
  shared_database_urls: z.array(z.string()).min(1),
  redis_url: z.string().optional(),
  backend: z.string().optional(),
})

/** @throws ConfigError with every violation. */
export function readAuditCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): AuditCommand {
  const options = parse(args)
  const config = readConfig(schema, env)
  const dataDirectory = config.AERODB_DATA_DIR
  const common = {
    isJson: options.json === true,
    accept: [...config.AERODB_AUDIT_ACCEPT, ...(options.accept ?? [])],
    internalSecret: config.AERODB_INTERNAL_SECRET,
  }
  if (config.AERODB_SHARED_DATABASE_URLS !== undefined && options.endpoints === undefined) {
    const { AERODB_GATEWAY_URL: gatewayUrl, AERODB_PLATFORM_KEY: platformKey, AERODB_DOMAIN: domain } = config
    const canProbe = gatewayUrl !== undefined && platformKey !== undefined && options['no-canary'] !== true
    return {
      ...common,
      metadataUrl: config.AERODB_DATABASE_URL,
      redisUrls: config.AERODB_REDIS_URL,
      backendUrls: config.AERODB_BACKEND_URLS ?? [],
      sharedUrls: config.AERODB_SHARED_DATABASE_URLS,
      dataDirectory: undefined,
      tenantsDirectory: env.AERODB_DATA_DIR === undefined ? undefined : join(dataDirectory, 'tenants'),
      canary: canProbe ? { gatewayUrl, domain, platformKey } : undefined,
    }
  }
  const file = options.endpoints ?? join(dataDirectory, 'endpoints.json')
  const endpoints = endpointsSchema.safeParse(readJson(file))
  if (!endpoints.success)
    throw new ConfigError([
      `${file}: is no endpoints file of a running platform; start it (npm run up), or set AERODB_SHARED_DATABASE_URLS and AERODB_DATABASE_URL`,
    ])
  const { data } = endpoints
  const kept = z.object({ internal_secret: z.string() }).safeParse(readJson(join(dataDirectory, 'secrets.json')))
  return {
    ...common,
    internalSecret: common.internalSecret ?? (kept.success ? kept.data.internal_secret : undefined),
    metadataUrl: data.metadata_database_url,
    redisUrls: data.redis_url?.split(','),
    backendUrls: data.backend === undefined ? [] : [data.backend],
    sharedUrls: data.shared_database_urls,
    dataDirectory: options.endpoints === undefined ? dataDirectory : undefined,
    tenantsDirectory: join(dirname(file), 'tenants'),
    canary:
      options['no-canary'] === true
        ? undefined
        : { gatewayUrl: data.gateway, domain: data.domain, platformKey: data.platform_key },
  }
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        endpoints: { type: 'string' },
        json: { type: 'boolean' },
        'no-canary': { type: 'boolean' },
        accept: { type: 'string', multiple: true },
        help: { type: 'boolean' },
      },
    })
    if (values.help === true) throw new Error('')
    return values
  } catch (fault) {
    throw new ConfigError([`${(fault as Error).message}\n${USAGE}`])
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
