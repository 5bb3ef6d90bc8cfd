import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Lifecycle } from '../../runtime/lifecycle.ts'
import { makeLogger } from '../../runtime/log.ts'
import { makeKey } from '../../tenancy/key.ts'
import type { ControlConfig } from '../config.ts'
import { type ControlDependencies, type StartedControl, startControl } from '../control.ts'
import { readDnsConfig } from '../dns/dns-config.ts'
import { readKubernetesConfig } from '../provisioners/kubernetes/kubernetes-config.ts'
import { expectDocumented } from './documented-statuses.ts'

export const TEST_SECRET = 'test-secret-test-secret-test-secret-0'

/** A control service in this process, with a caller that holds the first owner key. */
export type TestControl = {
  url: string
  ownerKey: string
  config: ControlConfig
  call: Caller
  started: StartedControl
  stop: (options?: { keepData?: boolean }) => Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: what came back is asserted on member by member, as it is
export type Answer = { status: number; headers: Headers; body: any }
export type Caller = (
  method: string,
  path: string,
  options?: { body?: unknown; headers?: Record<string, string>; key?: string | null; raw?: string },
) => Promise<Answer>

/** Starts control over the given servers; metering is away unless a URL is given. */
export async function startTestControl(options: {
  databaseUrl: string
  sharedUrls: readonly string[]
  redisUrl: string
  meteringUrl?: string
  ownerKey?: string
  overrides?: Partial<ControlConfig>
  dependencies?: Partial<ControlDependencies>
}): Promise<TestControl> {
  const log = makeLogger('control-test', process.env.TEST_LOG ?? 'silent')
  const lifecycle = new Lifecycle(log)
  const dataDir = await mkdtemp(join(tmpdir(), 'aerodb-control-'))
  await chmod(dataDir, 0o711)
  const ownerKey = options.ownerKey ?? makeKey('platform')
  const config: ControlConfig = {
    ...readDnsConfig({}),
    ...readKubernetesConfig({}),
    AERODB_CONTROL_FAILED_KEYS_PER_MINUTE: 100,
    AERODB_ISOLATION_AUDIT_SECONDS: 0,
    AERODB_LOG_LEVEL: 'silent',
    AERODB_CONTROL_HOST: '127.0.0.1',
    AERODB_CONTROL_PORT: 0,
    AERODB_ISOLATIONS: ['schema', 'database', 'cluster'],
    AERODB_DEDICATED_BACKEND_HOST: undefined,
    AERODB_MONITORING_KEY: undefined,
    AERODB_DOMAIN: 'localhost',
    AERODB_DATA_DIR: dataDir,
    AERODB_PLAN_CATALOGUE: undefined,
    AERODB_DASHBOARD_DIR: undefined,
    AERODB_DATABASE_URL: options.databaseUrl,
    AERODB_SHARED_DATABASE_URLS: [...options.sharedUrls],
    AERODB_REDIS_URL: [options.redisUrl],
    AERODB_BACKEND_URLS: undefined,
    AERODB_METERING_URL: options.meteringUrl ?? 'http://127.0.0.1:9',
    AERODB_INTERNAL_SECRET: TEST_SECRET,
    AERODB_ENCRYPTION_KEYS: [TEST_SECRET],
    AERODB_PLATFORM_KEY: ownerKey,
    AERODB_PAUSE_AFTER_SECONDS: 0,
    AERODB_KEEP_TENANT_SERVERS: false,
    AERODB_WEBHOOK_ALLOW_PRIVATE: false,
    AERODB_PROBE_URLS: undefined,
    AERODB_PROBE_INTERVAL_MS: 15_000,
    AERODB_PROBE_TIMEOUT_MS: 3_000,
    AERODB_ALERT_AFTER_SECONDS: 60,
    AERODB_SMTP_URL: undefined,
    AERODB_ALERT_EMAIL_FROM: 'AeroDB <alerts@aerodb.test>',
    AERODB_ALERT_EMAIL_TO: undefined,
    AERODB_ALERTMANAGER_URL: undefined,
    AERODB_GATEWAY_TLS_DIRECTORY: undefined,
    ...options.overrides,
  }
  const started = await startControl(config, { log, lifecycle, ...options.dependencies })
  const { url } = started
  return {
    url,
    ownerKey,
    config,
    call: makeCaller(url, ownerKey),
    started,
    stop: async ({ keepData = false } = {}) => {
      await lifecycle.stop()
      if (!keepData) await rm(config.AERODB_DATA_DIR, { recursive: true, force: true })
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Calls the API and reads the answer; a `Problem`'s body is JSON too. */
export function makeCaller(url: string, ownerKey: string): Caller {
  return async (method, path, { body, headers = {}, key = ownerKey, raw } = {}) => {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
    })
    await expectDocumented(url, method, path, response.status)
    const text = await response.text()
    const isJson = (response.headers.get('content-type') ?? '').includes('json')
    return { status: response.status, headers: response.headers, body: isJson && text !== '' ? JSON.parse(text) : text }
  }
}
