import { execFile } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeSecrets } from './make-secrets.ts'

type Service = {
  command?: string[]
  environment?: Record<string, string>
  healthcheck?: { test: string[] }
  volumes?: string[]
  ports?: string[]
  read_only?: boolean
}

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const OURS = ['gateway', 'control', 'metering', 'backend'] as const
const CONFIGS: Record<(typeof OURS)[number], string[]> = {
  gateway: ['gateway/config.ts'],
  control: ['control/config.ts', 'control/dns/dns-config.ts'],
  metering: ['metering/main.ts'],
  backend: ['backend/config.ts', 'backend/storage/config.ts'],
}
const read = (name: string) => readFile(join(ROOT, name), 'utf8')
const secrets = makeSecrets()
const text = await read('deploy/compose.yaml')

/** Compose's interpolation, as far as the file uses it. @throws for a required variable that make-secrets.ts does not make. */
function interpolate(value: string): string {
  return value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    const found = secrets[name]
    if (found !== undefined) return found
    if (kind !== '-') throw new Error(`${name} is required and made by nobody`)
    return rest
  })
}

const compose = parse(interpolate(text), { merge: true }) as { services: Record<string, Service> }
const serviceOf = (name: string): Service => compose.services[name] ?? {}

test('the file is valid by the published schema of the Compose specification', async () => {
  const schema = JSON.parse(await read('deploy/schemas/compose-spec.json')) as Record<string, unknown>
  const { $schema: _, ...rest } = schema
  const validate = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile(rest)
  expect(validate(compose), JSON.stringify(validate.errors)).toBe(true)
})

test.each(OURS)('%s accepts what it is configured with, and knows every variable', async (name) => {
  const { command, environment = {}, read_only: isReadOnly } = serviceOf(name)
  expect(command).toEqual(['node', `${name}/main.ts`])
  expect(isReadOnly).toBe(true)
  const known = (await Promise.all(CONFIGS[name].map(read))).join('\n')
  for (const variable of Object.keys(environment)) expect(known).toContain(`${variable}:`)
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, name, 'main.ts'), '--validate'], {
    env: { PATH: process.env.PATH, ...environment },
  })
  expect(stdout).toContain('valid')
})

test.each(OURS)('%s is asked for its health where it listens, and by others where it is', (name) => {
  const { environment = {}, healthcheck } = serviceOf(name)
  const port = environment[name === 'gateway' ? 'AERODB_GATEWAY_ADMIN_PORT' : `AERODB_${name.toUpperCase()}_PORT`]
  expect(healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${port}/${name === 'gateway' ? 'readyz' : 'healthz'}`)
  if (name === 'gateway') return
  const all = Object.values(compose.services).flatMap((service) => Object.values(service.environment ?? {}))
  expect(all).toContain(`http://${name}:${port}`)
})

test('backups know every variable, and look at each folder that services keep something in', async () => {
  const { command = [], environment = {}, volumes = [] } = serviceOf('backup')
  await access(join(ROOT, command[1] ?? ''))
  const known = await read('deploy/backup/backup-config.ts')
  for (const variable of Object.keys(environment)) expect(known).toContain(`${variable}:`)
  const kept = OURS.flatMap((name) => serviceOf(name).volumes ?? []).filter((volume) => volume.endsWith(':/data'))
  const folders = kept.map((volume) => `/data/${volume.split(':')[0]}`)
  expect(environment.AERODB_BACKUP_DATA_DIRS?.split(',').sort()).toEqual(folders.sort())
  for (const folder of folders) expect(volumes).toContain(`${folder.split('/').at(-1)}:${folder}:ro`)
})

test('Prometheus scrapes the ports that the services listen on', async () => {
  const config = parse(await read('deploy/prometheus/prometheus.yml')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  const targets = config.scrape_configs.flatMap((job) => job.static_configs.flatMap((one) => one.targets))
  expect(targets.sort()).toEqual(['backend:8083', 'control:8081', 'gateway:9090', 'metering:8082'])
})

test('every file that is mounted exists, and only gateway and DNS are open to the world', async () => {
  for (const [name, { volumes = [], ports = [] }] of Object.entries(compose.services)) {
    for (const volume of volumes)
      if (volume.startsWith('.')) await access(join(ROOT, 'deploy', `${volume.split(':')[0]}`))
    if (!['gateway', 'powerdns'].includes(name)) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
  }
})

test("Postgres has the settings of the launcher's own server", async () => {
  const launcher = await read('deploy/platform.ts')
  const settings = launcher.match(/POSTGRES_SETTINGS = \{([^}]*)\}/)?.[1] ?? ''
  const wanted = [...settings.matchAll(/(\w+): '([^']*)'/g)].map(([, name, value]) => `${name}=${value}`)
  expect(wanted.length).toBeGreaterThan(5)
  expect(serviceOf('postgres').command).toEqual(expect.arrayContaining(wanted))
})
