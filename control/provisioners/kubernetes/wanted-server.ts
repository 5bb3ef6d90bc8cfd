import { effectiveQuotas, type Isolation, type PlanCatalogue } from '../../../tenancy/plan.ts'
import type { TenantRow } from '../../stores/tenant-store.ts'
import { DEFAULT_SERVER_BYTES } from '../server-memory.ts'
import { serverName } from './names.ts'

const GIB = 1_073_741_824
/** What a pod needs beside Postgres: CloudNativePG's instance manager, and what sessions use. */
const POD_OVERHEAD_BYTES = 256 * 1_048_576
/** For the log of changes, and what a full table needs to be vacuumed. */
const STORAGE_OVERHEAD_GIB = 4
const STORAGE_FACTOR = 1.25
const MIB = 1_048_576

/** What a tenant's server on Kubernetes is to be, whatever the manifests look like. */
export type WantedServer = {
  server: string
  isolation: Isolation
  instances: number
  postgresMemoryBytes: number
  podMemoryMib: number
  cpuMillis: number
  storageGib: number
  maxConnections: number
}

/** A primary and two standbys: one of them may be lost, and the other still acknowledges. */
const CLUSTER_INSTANCES = 3
/** Backends, of which there may be several, and what Postgres and control need. */
const CONNECTIONS = 100

/** Derives the server from the tenant's plan and its own quotas. Pure. */
export function wantServer(
  tenant: Pick<TenantRow, 'tenant_id' | 'plan' | 'quotas'>,
  isolation: Isolation,
  { catalogue, unlimitedStorageGib }: { catalogue: PlanCatalogue; unlimitedStorageGib: number },
): WantedServer {
  const plan = catalogue.find(tenant.plan) ?? catalogue.defaultPlan
  const postgresMemoryBytes = plan.server_memory_bytes?.[isolation] ?? DEFAULT_SERVER_BYTES
  const quota = effectiveQuotas(plan, tenant.quotas).storage_bytes
  const isCluster = isolation === 'cluster'
  return {
    server: serverName(tenant.tenant_id, isolation),
    isolation,
    instances: isCluster ? CLUSTER_INSTANCES : 1,
    postgresMemoryBytes,
    podMemoryMib: Math.ceil((postgresMemoryBytes * 2 + POD_OVERHEAD_BYTES) / MIB),
    // A core for each 4 GiB, and never so little that a start takes minutes.
    cpuMillis: Math.max(isCluster ? 500 : 100, Math.ceil((postgresMemoryBytes * 1_000) / (4 * GIB))),
    storageGib: quota === null ? unlimitedStorageGib : Math.ceil((quota * STORAGE_FACTOR) / GIB) + STORAGE_OVERHEAD_GIB,
    maxConnections: CONNECTIONS,
  }
}
