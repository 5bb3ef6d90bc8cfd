import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import plans from '../../tenancy/plans.json' with { type: 'json' }
import { findManifestFaults, type Manifest } from '../../test/support/manifest-schema.ts'
import { makeSecrets } from '../make-secrets.ts'
import { lintChart, renderChart, type Values } from './render.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const SERVICES = ['gateway', 'control', 'backend', 'metering'] as const

type Probe = { httpGet: { path: string; port: string } }
type Container = {
  name: string
  image: string
  args: string[]
  env: {
    name: string
    value?: string
    valueFrom?: { secretKeyRef: { name: string; key: string; optional?: boolean } }
  }[]
  ports: { name: string; containerPort: number }[]
  volumeMounts: { name: string; mountPath: string }[]
  readinessProbe: Probe
  livenessProbe: Probe
  startupProbe: Probe
  securityContext: Record<string, unknown>
  resources: { requests: object; limits: object }
}
type Workload = Manifest & {
  spec: {
    replicas?: number
    serviceName?: string
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        containers: Container[]
        securityContext: Record<string, unknown>
        enableServiceLinks: boolean
        automountServiceAccountToken: boolean
        volumes: { name: string }[]
      }
    }
    volumeClaimTemplates?: { metadata: { name: string } }[]
    persistentVolumeClaimRetentionPolicy?: Record<string, string>
  }
}
type Peer = { podSelector?: { matchLabels: Record<string, string> }; ipBlock?: object }
type Rule = { from?: Peer[]; to?: Peer[]; ports: { port: number | string }[] }

/** Everything that can be switched on. */
const EVERYTHING: Values = {
  domain: 'example.com',
  image: { repository: 'registry.example/aerodb', digest: `sha256:${'0'.repeat(64)}` },
  imagePullSecrets: [{ name: 'registry' }],
  secret: {
    name: 'platform-secrets',
    overrides: {
      AERODB_DATABASE_URL: { name: 'metadata-app', key: 'uri' },
      AERODB_MONITORING_KEY: { name: 'monitor' },
    },
  },
  planCatalogue: plans,
  invoiceSeller: { name: 'Example Ltd' },
  gateway: {
    trustedProxies: ['10.0.0.0/8'],
    autoscaling: { enabled: true },
    tls: { secretName: 'wildcard' },
    ingress: { enabled: true, className: 'nginx', tls: { secretName: 'wildcard' }, annotations: { a: 'b' } },
    persistence: { storageClass: 'fast', annotations: { a: 'b' } },
    service: { type: 'ClusterIP', annotations: { a: 'b' } },
    env: { AERODB_GATEWAY_MAX_UNDER_WAY: 2048, AERODB_WEBHOOK_ALLOW_PRIVATE: false },
    nodeSelector: { pool: 'edge' },
    tolerations: [{ key: 'edge', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    podAnnotations: { a: 'b' },
    podLabels: { team: 'edge' },
  },
  kubernetesTenants: {
    enabled: true,
    storageClass: 'fast',
    clusterNodes: 'aerodb.dev/pool=clusters',
    sharedCidrs: ['10.1.0.0/16'],
  },
  control: {
    isolations: ['schema', 'database', 'cluster'],
    env: {
      AERODB_DNS_DRIVER: 'powerdns',
      AERODB_DNS_POWERDNS_URL: 'http://powerdns:8081',
      AERODB_DNS_TARGET: '192.0.2.1',
    },
    secretEnv: { AERODB_DNS_POWERDNS_API_KEY: { name: 'dns', key: 'token' } },
  },
  backend: {
    replicas: 3,
    s3: { bucket: 'files', endpoint: 'https://s3.example', prefix: 'aerodb' },
    files: { existingClaim: 'shared-files' },
    secretEnv: { AERODB_STORAGE_S3_ACCESS_KEY_ID: { name: 's3', key: 'id' } },
  },
  serviceAccount: { annotations: { a: 'b' } },
  networkPolicy: {
    gatewayFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } } }],
    monitoringFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
  },
  monitoring: {
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
    prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    dashboards: { enabled: true },
  },
}
const CASES: Record<string, Values> = {
  'as it is': {},
  'with everything': EVERYTHING,
  'shut in by others, on IPv6': {
    networkPolicy: { enabled: false },
    serviceAccount: { create: false, name: 'theirs' },
    listenAddress: '::',
    gateway: { podDisruptionBudget: { enabled: false } },
  },
}
const rendered: Record<string, Manifest[]> = {}

beforeAll(async () => {
  for (const [name, values] of Object.entries(CASES)) rendered[name] = await renderChart(values)
}, 900_000)

const of = (name: string): Manifest[] => rendered[name] ?? []

function workloads(manifests: readonly Manifest[]): Workload[] {
  return manifests.filter(({ kind }) => ['StatefulSet', 'Deployment'].includes(kind)) as Workload[]
}

function containerOf(manifests: readonly Manifest[], service: string): Container {
  const container = workloads(manifests)
    .flatMap((workload) => workload.spec.template.spec.containers)
    .find(({ name }) => name === service)
  if (container === undefined) throw new Error(`${service} has no container`)
  return container
}

test('Helm finds nothing to say against the chart', async () => {
  for (const values of Object.values(CASES)) expect(await lintChart(values)).toContain('0 chart(s) failed')
})

test.each(Object.keys(CASES))('%s: each manifest is one by the published schemas, and none is there twice', (name) => {
  const manifests = of(name)
  expect(manifests.length).toBeGreaterThan(11)
  expect(manifests.flatMap(findManifestFaults)).toEqual([])
  const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
  expect(new Set(names).size).toBe(names.length)
  for (const { metadata } of manifests) expect(metadata.namespace).toMatch(/^(platform|aerodb-tenants)$/)
})

test('the schemas are not merely there: what is not in them is found', () => {
  const [wrong] = workloads(structuredClone(of('as it is')))
  if (wrong === undefined) throw new Error('nothing was rendered')
  Object.assign(wrong.spec.template.spec, { runAsRoot: true })
  Object.assign(wrong.spec, { replicas: 'three' })
  const faults = findManifestFaults(wrong).join('\n')
  expect(faults).toContain('runAsRoot')
  expect(faults).toContain('/spec/replicas: must be integer')
})

test.each(Object.keys(CASES).flatMap((name) => SERVICES.map((service) => [name, service] as const)))(
  '%s: %s accepts what it is configured with, and no variable is set twice',
  async (name, service) => {
    const { env, args } = containerOf(of(name), service)
    const names = env.map((variable) => variable.name)
    expect(new Set(names).size).toBe(names.length)
    expect(args).toEqual(['node', `${service}/main.ts`])
    const { AERODB_PLATFORM_KEY, AERODB_MONITORING_KEY, AERODB_INTERNAL_SECRET, AERODB_ENCRYPTION_KEYS } = makeSecrets()
    const secrets: Record<string, string | undefined> = {
      ...{ AERODB_PLATFORM_KEY, AERODB_MONITORING_KEY, AERODB_INTERNAL_SECRET, AERODB_ENCRYPTION_KEYS },
      AERODB_DATABASE_URL: 'postgres://a:b@metadata/aerodb',
      AERODB_SHARED_DATABASE_URLS: 'postgres://a:b@one/shared,postgres://a:b@two/shared',
      AERODB_REDIS_URL: 'redis://a,redis://b',
      AERODB_DNS_POWERDNS_API_KEY: 'secret',
      AERODB_STORAGE_S3_ACCESS_KEY_ID: 'id',
    }
    const given = Object.fromEntries(
      env.map(({ name: variable, value, valueFrom }) => [
        variable,
        valueFrom === undefined ? value : secrets[variable],
      ]),
    )
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, service, 'main.ts'), '--validate'], {
      env: { PATH: process.env.PATH, ...given },
    })
    expect(stdout).toContain('valid')
  },
)

test('secrets come from Secrets that exist, each process gets those that it reads, and a single one may lie elsewhere', () => {
  for (const service of SERVICES)
    for (const { name, value, valueFrom } of containerOf(of('as it is'), service).env) {
      if (/SECRET|KEY|DATABASE_URL|REDIS_URL/.test(name)) expect(value, name).toBeUndefined()
      if (valueFrom !== undefined)
        expect(valueFrom.secretKeyRef).toEqual({
          name: 'aerodb',
          key: name,
          ...(name === 'AERODB_MONITORING_KEY' ? { optional: true } : {}),
        })
    }
  const namesOf = (service: string) => containerOf(of('as it is'), service).env.map(({ name }) => name)
  for (const service of ['gateway', 'backend']) expect(namesOf(service).join()).not.toContain('DATABASE_URL')
  expect(namesOf('metering')).not.toContain('AERODB_ENCRYPTION_KEYS')
  for (const service of ['gateway', 'backend', 'metering'])
    expect(namesOf(service)).not.toContain('AERODB_PLATFORM_KEY')
  const control = containerOf(of('with everything'), 'control').env
  const refOf = (name: string) => control.find((variable) => variable.name === name)?.valueFrom?.secretKeyRef
  expect(refOf('AERODB_DATABASE_URL')).toEqual({ name: 'metadata-app', key: 'uri' })
  expect(refOf('AERODB_REDIS_URL')).toEqual({ name: 'platform-secrets', key: 'AERODB_REDIS_URL' })
  expect(refOf('AERODB_DNS_POWERDNS_API_KEY')).toEqual({ name: 'dns', key: 'token' })
})

test('no pod runs as root, writes its root, has a token of Kubernetes, or takes variables from other Services', () => {
  for (const name of Object.keys(CASES))
    for (const { spec } of workloads(of(name))) {
      const pod = spec.template.spec
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001 })
      // Control alone asks Kubernetes for something, where tenants' servers are there.
      const mayAsk = name === 'with everything' && pod.containers[0]?.name === 'control'
      expect(pod).toMatchObject({ enableServiceLinks: false, automountServiceAccountToken: mayAsk })
      expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels)
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(Object.keys(container.resources)).toEqual(expect.arrayContaining(['limits', 'requests']))
        const volumes = [
          ...pod.volumes.map((one) => one.name),
          ...(spec.volumeClaimTemplates ?? []).map((one) => one.metadata.name),
        ]
        expect(container.volumeMounts.map((mount) => mount.name).sort()).toEqual(volumes.sort())
      }
    }
})

test('spools lie on volumes of their own that outlive pod and release, at the data directory', () => {
  for (const service of ['gateway', 'backend']) {
    const workload = workloads(of('as it is')).find(({ metadata }) => metadata.name.endsWith(service))
    expect(workload?.kind).toBe('StatefulSet')
    expect(workload?.spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' })
    const { env, volumeMounts } = containerOf(of('as it is'), service)
    const directory = env.find(({ name }) => name === 'AERODB_DATA_DIR')?.value
    expect(volumeMounts).toContainEqual({ name: 'data', mountPath: directory })
    expect(workload?.spec.volumeClaimTemplates?.map(({ metadata }) => metadata.name)).toEqual(['data'])
  }
})

test('each process is asked for its health where it listens; one that waits for its database is not killed for it', () => {
  for (const service of SERVICES) {
    const { ports, readinessProbe, livenessProbe, startupProbe, env } = containerOf(of('as it is'), service)
    const variable = service === 'gateway' ? 'AERODB_GATEWAY_ADMIN_PORT' : `AERODB_${service.toUpperCase()}_PORT`
    const port = env.find(({ name }) => name === variable)?.value
    for (const { httpGet } of [readinessProbe, livenessProbe, startupProbe])
      expect(`${ports.find(({ name }) => name === httpGet.port)?.containerPort}`).toBe(port)
  }
  expect(containerOf(of('as it is'), 'gateway').readinessProbe.httpGet.path).toBe('/readyz')
  expect(containerOf(of('as it is'), 'metering').livenessProbe.httpGet.path).toBe('/livez')
})

test('addresses lead to Services that select the pods which listen there', () => {
  for (const name of ['as it is', 'with everything']) {
    const manifests = of(name)
    const services = manifests.filter(({ kind }) => kind === 'Service') as (Manifest & {
      spec: { selector: Record<string, string>; ports: { port: number; targetPort: string }[]; clusterIP?: string }
    })[]
    const urls = SERVICES.flatMap((service) => containerOf(manifests, service).env)
      .filter((variable) => /^AERODB_(CONTROL|METERING|BACKEND|PROBE)_URLS?$/.test(variable.name))
      .flatMap(({ value = '' }) => value.split(','))
    expect(new Set(urls).size).toBe(name === 'as it is' ? 4 : 6)
    for (const url of urls.map((one) => new URL(one))) {
      const [first = '', second] = url.hostname.split('.')
      const service = services.find(({ metadata }) => metadata.name === (second ?? first))
      expect(service, url.href).toBeDefined()
      const workload = workloads(manifests).find(({ metadata }) => metadata.name === first.replace(/-\d+$/, ''))
      expect(workload?.spec.template.metadata.labels).toMatchObject(service?.spec.selector ?? { none: 'selected' })
      if (second !== undefined) expect(workload?.spec.serviceName).toBe(second)
      const open = service?.spec.ports.find(({ port }) => `${port}` === (url.port === '' ? '80' : url.port))
      const ports = workload?.spec.template.spec.containers[0]?.ports.map((port) => port.name)
      expect(ports).toContain(open?.targetPort)
    }
  }
})

test('only gateways are reached from outside, and each process only by those who ask it', () => {
  const policies = of('as it is').filter(({ kind }) => kind === 'NetworkPolicy') as (Manifest & {
    spec: { podSelector: object; policyTypes: string[]; ingress: Rule[]; egress: Rule[] }
  })[]
  const componentOf = (peer: Peer) => peer.podSelector?.matchLabels['app.kubernetes.io/component']
  const askersOf = (service: string) =>
    policies
      .find(({ metadata }) => metadata.name.endsWith(`-${service}`))
      ?.spec.ingress.flatMap(({ from }) => (from === undefined ? ['everybody'] : from.map(componentOf)))
  expect(policies).toHaveLength(4)
  expect(askersOf('gateway')).toEqual(['everybody', 'control'])
  expect(askersOf('control')).toEqual(['gateway'])
  expect(askersOf('backend')).toEqual(['gateway', 'control'])
  expect(askersOf('metering')).toEqual(['gateway', 'control'])
  // Whoever may be asked may be reached: the two sides are one table.
  for (const { metadata, spec } of policies) {
    const asked = spec.egress.flatMap(({ to = [] }) => to.map(componentOf)).filter((one) => one !== undefined)
    for (const other of asked) expect(askersOf(other)).toContain(metadata.name.replace('aero-aerodb-', ''))
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress'])
  }
})

test('with autoscaling the autoscaler alone says how many gateways there are', () => {
  const gatewayOf = (name: string) => workloads(of(name)).find(({ metadata }) => metadata.name.endsWith('gateway'))
  expect(gatewayOf('as it is')?.spec.replicas).toBe(3)
  expect(gatewayOf('with everything')?.spec).not.toHaveProperty('replicas')
  expect(of('with everything').find(({ kind }) => kind === 'HorizontalPodAutoscaler')).toMatchObject({
    spec: { scaleTargetRef: { kind: 'StatefulSet', name: gatewayOf('with everything')?.metadata.name } },
  })
})

test('what would not work is refused with the reason', async () => {
  await expect(renderChart({ backend: { replicas: 2 } })).rejects.toThrow('backend.s3.bucket')
  await expect(renderChart({ control: { isolations: ['schema', 'database'] } })).rejects.toThrow('control.isolations')
  await expect(renderChart({ gateway: { replica: 2 } })).rejects.toThrow('replica')
  await expect(renderChart({ secret: { overrides: { AERODB_DATABSE_URL: { name: 'x' } } } })).rejects.toThrow('secret')
  await expect(
    renderChart({ control: { env: { A: '1' }, secretEnv: { A: { name: 'x', key: 'y' } } } }),
  ).rejects.toThrow('both')
})

test('Prometheus finds every process under the name that rules and dashboards ask for', () => {
  const manifests = of('with everything')
  const monitors = manifests.filter(({ kind }) => kind === 'ServiceMonitor') as (Manifest & {
    spec: {
      selector: { matchLabels: Record<string, string> }
      endpoints: { port: string; relabelings: { replacement?: string }[] }[]
    }
  })[]
  expect(monitors.flatMap(({ spec }) => spec.endpoints.map((one) => one.relabelings[0]?.replacement)).sort()).toEqual([
    'aerodb-backend',
    'aerodb-control',
    'aerodb-gateway',
    'aerodb-metering',
  ])
  for (const { spec } of monitors) {
    const selected = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(spec.selector.matchLabels).every(([name, value]) => metadata.labels?.[name] === value),
    ) as (Manifest & { spec: { ports: { name: string }[] } })[]
    expect(selected).toHaveLength(1)
    expect(selected[0]?.spec.ports.map(({ name }) => name)).toContain(spec.endpoints[0]?.port)
  }
  const rules = manifests.find(({ kind }) => kind === 'PrometheusRule') as Manifest & { spec: { groups: object[] } }
  expect(JSON.stringify(rules)).toContain('{{ $labels.instance }}')
  const dashboards = manifests.find(({ metadata }) => metadata.name.endsWith('dashboards')) as Manifest & {
    data: Record<string, string>
  }
  for (const text of Object.values(dashboards.data)) expect(JSON.parse(text)).toHaveProperty('panels')
})
