import { Ajv, type ValidateFunction } from 'ajv'
import cloudNativePg from '../../deploy/schemas/kubernetes/cloudnative-pg.json' with { type: 'json' }
import kubernetes from '../../deploy/schemas/kubernetes/kubernetes.json' with { type: 'json' }
import prometheusOperator from '../../deploy/schemas/kubernetes/prometheus-operator.json' with { type: 'json' }

type Schema = { [name: string]: unknown }
type Extract = { kinds: Record<string, string>; definitions: Record<string, unknown> }

export type Manifest = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> }
}

/**
 * The schema as a strict API server reads it: a field that is not in it is an error (a typo would be dropped silently
 * otherwise), and `int-or-string` is both.
 */
function tighten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tighten)
  if (typeof value !== 'object' || value === null) return value
  const { properties, format, ...rest } = value as Schema
  const isIntOrString = format === 'int-or-string' || rest['x-kubernetes-int-or-string'] === true
  if (isIntOrString) return { type: ['integer', 'string'] }
  const tight = Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, tighten(part)]))
  // Go's way to say that case does not matter; JavaScript has it for groups.
  if (typeof rest.pattern === 'string') tight.pattern = rest.pattern.replace(/^\^\(\?i\)(.*)\$$/, '^(?i:$1)$')
  if (typeof properties !== 'object' || properties === null) return tight
  const isOpen = 'additionalProperties' in rest || rest['x-kubernetes-preserve-unknown-fields'] === true
  return {
    ...tight,
    // A property may be called like a keyword, so each is tightened by itself.
    properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, tighten(part)])),
    ...(isOpen ? {} : { additionalProperties: false }),
  }
}

const OBJECT_META = { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }

function tightenAll({ definitions }: Extract): [string, unknown][] {
  return Object.entries(definitions).map(([name, definition]) => [name, tighten(definition)])
}

/** Custom resources say of their `metadata` only that it is an object: Kubernetes knows what is in it. */
function tightenCustom(extract: Extract): [string, unknown][] {
  return tightenAll(extract).map(([name, definition]) => {
    const { properties, ...rest } = definition as { properties: Schema }
    return [name, { ...rest, properties: { ...properties, metadata: OBJECT_META } }]
  })
}

/** Of CloudNativePG's `Cluster`, as its CRD has it (without descriptions). */
export const CLUSTER_SCHEMA: unknown = cloudNativePg.definitions.Cluster

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema({
  $id: 'manifests',
  definitions: Object.fromEntries([
    ...tightenAll(kubernetes),
    ...tightenCustom(cloudNativePg),
    ...tightenCustom(prometheusOperator),
  ]),
})
const KINDS: Record<string, string> = { ...kubernetes.kinds, ...cloudNativePg.kinds, ...prometheusOperator.kinds }
const validators = new Map<string, ValidateFunction>()

/**
 * What is wrong with a manifest by the published schemas of Kubernetes, CloudNativePG and the Prometheus operator
 * (`deploy/schemas/kubernetes`), unknown fields included; empty when nothing is.
 * @throws Error when there is no schema of its kind.
 */
export function findManifestFaults(manifest: Manifest): string[] {
  const kind = `${manifest.apiVersion} ${manifest.kind}`
  const definition = KINDS[kind]
  if (definition === undefined) throw new Error(`There is no schema of ${kind}: add it to extract.ts`)
  const validate = validators.get(kind) ?? ajv.compile({ $ref: `manifests#/definitions/${definition}` })
  validators.set(kind, validate)
  const isValid: boolean = validate(manifest)
  if (isValid) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${kind} ${manifest.metadata.name}${instancePath}: ${message} ${JSON.stringify(params)}`,
  )
}
