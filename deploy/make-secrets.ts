import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { makeKey } from '../tenancy/key.ts'

/** New secrets for a platform, by the names that deploy/compose.yaml and the Helm chart's `existingSecret` know them by. */
export function makeSecrets(): Record<string, string> {
  const random = () => randomBytes(32).toString('base64url')
  return {
    AERODB_INTERNAL_SECRET: random(),
    AERODB_ENCRYPTION_KEYS: random(),
    AERODB_PLATFORM_KEY: makeKey('platform'),
    AERODB_MONITORING_KEY: makeKey('platform'),
    POSTGRES_PASSWORD: random(),
    REDIS_PASSWORD: random(),
    POWERDNS_API_KEY: random(),
    GRAFANA_PASSWORD: random(),
  }
}

/** `node deploy/make-secrets.ts > deploy/.env`: keep the file, and keep a copy elsewhere: without the encryption key no backup opens. */
if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [name, value] of Object.entries(makeSecrets())) console.log(`${name}=${value}`)
