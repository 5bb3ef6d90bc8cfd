import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'

/**
 * `node deploy/schemas/kubernetes/extract.ts`: writes the schemas beside it anew from the published sources, which Go's module
 * proxy has. To check against another release change the versions here.
 */
const KUBERNETES = 'k8s.io/kubernetes@v1.36.3'
const CRDS = {
  'cloudnative-pg': {
    module: 'github.com/cloudnative-pg/cloudnative-pg@v1.28.1',
    files: ['config/crd/bases/postgresql.cnpg.io_clusters.yaml'],
  },
  'prometheus-operator': {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    files: ['servicemonitors', 'prometheusrules'].map(
      (name) => `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`,
    ),
  },
}
/** What the chart and the Kubernetes provisioner make: `<apiVersion> <kind>`. */
const KINDS = [
  'v1 ConfigMap',
  'v1 Namespace',
  'v1 Secret',
  'v1 Service',
  'v1 ServiceAccount',
  'apps/v1 Deployment',
  'apps/v1 StatefulSet',
  'autoscaling/v2 HorizontalPodAutoscaler',
  'networking.k8s.io/v1 Ingress',
  'networking.k8s.io/v1 NetworkPolicy',
  'policy/v1 PodDisruptionBudget',
  'rbac.authorization.k8s.io/v1 ClusterRole',
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding',
  'rbac.authorization.k8s.io/v1 Role',
  'rbac.authorization.k8s.io/v1 RoleBinding',
]

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
type Definition = { [name: string]: Json }
type GroupVersionKind = { group: string; version: string; kind: string }

const KEPT_EXTENSIONS = new Set(['x-kubernetes-int-or-string', 'x-kubernetes-preserve-unknown-fields'])

/** Without what does not decide whether a document is valid: texts, and hints for merging. */
function strip(value: Json): Json {
  if (Array.isArray(value)) return value.map(strip)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(
    ([name, part]) =>
      !(name === 'description' && typeof part === 'string') &&
      (!name.startsWith('x-kubernetes-') || KEPT_EXTENSIONS.has(name)),
  )
  return Object.fromEntries(kept.map(([name, part]) => [name, strip(part)]))
}

function* references(value: Json): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    if (name === '$ref' && typeof part === 'string') yield part.replace('#/definitions/', '')
    else yield* references(part)
  }
}

const apiVersionOf = ({ group, version }: GroupVersionKind) => (group === '' ? version : `${group}/${version}`)

async function download(module: string): Promise<string> {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module])
  return (JSON.parse(stdout) as { Dir: string }).Dir
}

async function write(name: string, source: string, kinds: Record<string, string>, definitions: Json): Promise<void> {
  const $comment = `${source}, Apache-2.0; an extract without descriptions, made by extract.ts`
  const path = join(import.meta.dirname, `${name}.json`)
  await writeFile(path, `${JSON.stringify({ $comment, kinds, definitions }, null, 2)}\n`)
}

async function extractKubernetes(): Promise<void> {
  const text = await readFile(join(await download(KUBERNETES), 'api', 'openapi-spec', 'swagger.json'), 'utf8')
  const { definitions } = JSON.parse(text) as { definitions: Record<string, Definition> }
  const kinds: Record<string, string> = {}
  const kept: Record<string, Json> = {}
  const keep = (name: string): void => {
    if (name in kept) return
    kept[name] = strip(definitions[name] ?? {})
    for (const other of references(kept[name])) keep(other)
  }
  for (const [name, definition] of Object.entries(definitions)) {
    const served = (definition['x-kubernetes-group-version-kind'] ?? []) as GroupVersionKind[]
    const key = served.map((one) => `${apiVersionOf(one)} ${one.kind}`).find((one) => KINDS.includes(one))
    if (key === undefined) continue
    kinds[key] = name
    keep(name)
  }
  for (const kind of KINDS) if (!(kind in kinds)) throw new Error(`${KUBERNETES} has no ${kind}`)
  await write('kubernetes', KUBERNETES, kinds, kept)
}

async function extractCrds(name: keyof typeof CRDS): Promise<void> {
  const { module, files } = CRDS[name]
  const directory = await download(module)
  const kinds: Record<string, string> = {}
  const definitions: Record<string, Json> = {}
  for (const file of files) {
    const crd = parse(await readFile(join(directory, file), 'utf8')) as {
      spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Json } }[] }
    }
    for (const { name: version, schema } of crd.spec.versions) {
      const { kind } = crd.spec.names
      kinds[`${crd.spec.group}/${version} ${kind}`] = kind
      definitions[kind] = strip(schema.openAPIV3Schema)
    }
  }
  await write(name, module, kinds, definitions)
}

await extractKubernetes()
for (const name of Object.keys(CRDS) as (keyof typeof CRDS)[]) await extractCrds(name)
