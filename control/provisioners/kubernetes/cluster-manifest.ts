import { createHash } from 'node:crypto'
import { memorySettings } from '../server-memory.ts'
import type { Manifest } from './manifest.ts'
import { FINALIZER, labelsOf, resourceName, secretName, TENANT_LABEL, WANTED_ANNOTATION } from './names.ts'
import type { KubernetesSettings } from './settings.ts'
import type { WantedServer } from './wanted-server.ts'

/** The database that tenants' schemas lie in, and the role that CloudNativePG makes as its owner: nobody comes in as that. */
export const DATABASE = 'aerodb'
export const DATABASE_OWNER = 'aerodb_owner'

/**
 * As the servers that we run ourselves are set (`../own-server`), as far as CloudNativePG does not set it: ready for logical replication,
 * and bounded in what a follower that is gone may hold back.
 */
const PARAMETERS: Readonly<Record<string, string>> = {
  password_encryption: 'scram-sha-256',
  wal_level: 'logical',
  max_wal_senders: '16',
  max_replication_slots: '16',
  max_slot_wal_keep_size: '2GB',
  idle_replication_slot_timeout: '10min',
  max_locks_per_transaction: '256',
  jit: 'off',
}

/** As everywhere (`runtime/postgres-server.ts`): a tenant that moves finds its rows in the same order. */
const LOCALE = { encoding: 'UTF8', localeProvider: 'builtin', builtinLocale: 'C.UTF-8', locale: 'C' }

/**
 * A tenant's server as CloudNativePG's `Cluster`: one instance, or a primary with two standbys of which one has each commit before it
 * is acknowledged. Whether it hibernates is not said here: that changes by itself. Pure.
 */
export function makeClusterManifest(wanted: WantedServer, settings: KubernetesSettings): Manifest {
  const isCluster = wanted.isolation === 'cluster'
  const labels = labelsOf(wanted.server)
  const { storageClass } = settings
  const spec = {
    instances: wanted.instances,
    imageName: settings.postgresImage,
    enableSuperuserAccess: true,
    superuserSecret: { name: secretName(wanted.server) },
    inheritedMetadata: { labels },
    bootstrap: {
      initdb: { database: DATABASE, owner: DATABASE_OWNER, dataChecksums: true, ...LOCALE },
    },
    postgresql: {
      parameters: {
        ...PARAMETERS,
        ...memorySettings(wanted.postgresMemoryBytes),
        max_connections: `${wanted.maxConnections}`,
        // Slots of realtime's readers on standbys are only kept current with it.
        ...(isCluster ? { hot_standby_feedback: 'on' } : {}),
      },
      ...(isCluster
        ? { synchronous: { method: 'any', number: 1, dataDurability: 'required', failoverQuorum: true } }
        : {}),
    },
    ...(isCluster
      ? { replicationSlots: { highAvailability: { enabled: true, synchronizeLogicalDecoding: true } } }
      : {}),
    storage: {
      size: `${wanted.storageGib}Gi`,
      resizeInUseVolumes: true,
      ...(storageClass === undefined ? {} : { storageClass }),
    },
    resources: {
      requests: { cpu: `${wanted.cpuMillis}m`, memory: `${wanted.podMemoryMib}Mi` },
      limits: { memory: `${wanted.podMemoryMib}Mi` },
    },
    affinity: isCluster ? dedicatedNodes(wanted, settings) : SPREAD,
    // A budget for a single instance would keep its node from ever being drained.
    enablePDB: isCluster,
    primaryUpdateStrategy: 'unsupervised',
    primaryUpdateMethod: isCluster ? 'switchover' : 'restart',
    stopDelay: 60,
  }
  const digest = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 32)
  return {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: {
      name: resourceName(wanted.server),
      namespace: settings.namespace,
      labels,
      annotations: { [WANTED_ANNOTATION]: digest },
      finalizers: [FINALIZER],
    },
    spec,
  }
}

const SPREAD = {
  enablePodAntiAffinity: true,
  podAntiAffinityType: 'preferred',
  topologyKey: 'kubernetes.io/hostname',
}

/** Each instance on a node of its own, on which no other tenant has one; of the pool that is kept for them, where there is one. */
function dedicatedNodes({ server }: WantedServer, { clusterNodes }: KubernetesSettings): Record<string, unknown> {
  const tenant = labelsOf(server)[TENANT_LABEL]
  return {
    ...SPREAD,
    podAntiAffinityType: 'required',
    additionalPodAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: {
            matchExpressions: [
              { key: TENANT_LABEL, operator: 'Exists' },
              { key: TENANT_LABEL, operator: 'NotIn', values: [tenant] },
            ],
          },
        },
      ],
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 100,
          podAffinityTerm: {
            topologyKey: 'topology.kubernetes.io/zone',
            labelSelector: { matchLabels: { [TENANT_LABEL]: tenant } },
          },
        },
      ],
    },
    ...(clusterNodes === undefined
      ? {}
      : {
          nodeSelector: { [clusterNodes.key]: clusterNodes.value },
          tolerations: [{ key: clusterNodes.key, operator: 'Equal', value: clusterNodes.value, effect: 'NoSchedule' }],
        }),
  }
}
