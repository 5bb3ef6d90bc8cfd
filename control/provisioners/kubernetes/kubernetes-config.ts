import { z } from 'zod'
import { readConfig, wholeNumber } from '../../../runtime/config.ts'

type Env = Readonly<Record<string, string | undefined>>

const label = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits and inner hyphens')

const nodePool = z
  .string()
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?=[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/,
    'must be the label of a node: key=value',
  )
  .transform((text) => {
    const [key = '', value = ''] = text.split('=')
    return { key, value }
  })

const range = z.union([z.cidrv4('must be CIDR ranges'), z.cidrv6('must be CIDR ranges')])

/** The variables of tenants' own servers on Kubernetes, for control to spread into its schema. */
export const kubernetesConfigShape = {
  /**
   * The namespace in which `database` and `cluster` tenants get clusters of CloudNativePG; without it their servers run beside
   * control.
   */
  AERODB_KUBERNETES_NAMESPACE: label.optional(),
  /** Who we are and where the API server is; without it what a pod's service account says. */
  AERODB_KUBERNETES_KUBECONFIG: z.string().optional(),
  /** The namespaces in which control and the backends run, and CloudNativePG: nobody else comes to a tenant's server. */
  AERODB_KUBERNETES_PLATFORM_NAMESPACE: label.default('aerodb'),
  AERODB_KUBERNETES_OPERATOR_NAMESPACE: label.default('cnpg-system'),
  AERODB_KUBERNETES_POSTGRES_IMAGE: z.string().min(1).default('ghcr.io/cloudnative-pg/postgresql:18'),
  AERODB_KUBERNETES_STORAGE_CLASS: z.string().min(1).optional(),
  /** Of the volumes of tenants whose plan sets no limit, in GiB. */
  AERODB_KUBERNETES_STORAGE_GIB: wholeNumber(1, 65_536).default(100),
  /** Label, and taint, of the nodes that are kept for `cluster` tenants: each such node has one tenant. */
  AERODB_KUBERNETES_CLUSTER_NODES: nodePool.optional(),
  /** Where servers of the shared tier lie, for tenants that move between them and Kubernetes. */
  AERODB_KUBERNETES_SHARED_CIDRS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(range))
    .default([]),
}

export type KubernetesConfig = z.output<z.ZodObject<typeof kubernetesConfigShape>>

/** @throws ConfigError with every violation. */
export function readKubernetesConfig(env: Env = process.env): KubernetesConfig {
  return readConfig(z.object(kubernetesConfigShape), env)
}
