import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeConfig } from '@kubernetes/client-node'
import pg from 'pg'
import { findFreePort } from '../../runtime/free-port.ts'
import { PostgresServer } from '../../runtime/postgres-server.ts'
import { askKubernetes } from '../../test/support/kubernetes-request.ts'
import { CLUSTER_SCHEMA } from '../../test/support/manifest-schema.ts'

const LOOK_MS = 200
const CLUSTERS = '/apis/postgresql.cnpg.io/v1'

type Cluster = {
  metadata: { name: string; generation: number; annotations?: Record<string, string>; deletionTimestamp?: string }
  spec: {
    instances: number
    superuserSecret: { name: string }
    bootstrap: { initdb: { database: string; owner: string } }
    postgresql: { parameters: Record<string, string> }
  }
  status?: { readyInstances?: number }
}
type Kept = { server: PostgresServer; isRunning: boolean }

/** CloudNativePG's `Cluster`, as its CRD has it, made known to the API server. */
export async function installCloudNativePg(admin: KubeConfig): Promise<void> {
  await askKubernetes(admin, 'POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'clusters.postgresql.cnpg.io' },
    spec: {
      group: 'postgresql.cnpg.io',
      scope: 'Namespaced',
      names: { kind: 'Cluster', plural: 'clusters', singular: 'cluster', listKind: 'ClusterList' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: CLUSTER_SCHEMA },
        },
      ],
    },
  })
  for (let i = 0; i < 100; i++) {
    const isServed = await askKubernetes(admin, 'GET', `${CLUSTERS}/clusters`).then(
      () => true,
      () => false,
    )
    if (isServed) return
    await sleep(100)
  }
  throw new Error('The API server does not serve Clusters')
}

/**
 * A stand-in for CloudNativePG's operator, which needs nodes and images: it makes of each `Cluster` one real Postgres on this machine, whatever
 * the number of instances, and says in its status what the operator would say. It shows that control asks for the right things and goes by the
 * answers; it does not show failover, synchronous replication or volumes, which are the operator's.
 */
export class StandInOperator {
  readonly #admin: KubeConfig
  readonly #namespace: string
  readonly #portOf: (name: string) => number
  readonly #kept = new Map<string, Kept>()
  readonly #looking: Promise<void>
  #directory = ''
  #isStopping = false
  /** What went wrong in a look; tests ask for it in the end. */
  readonly faults: string[] = []

  /** @param portOf where the server of a cluster is to listen. */
  constructor(admin: KubeConfig, namespace: string, portOf: (name: string) => number) {
    this.#admin = admin
    this.#namespace = namespace
    this.#portOf = portOf
    this.#looking = this.#run()
  }

  /** The clusters that have a server, running or not. */
  get clusters(): string[] {
    return [...this.#kept.keys()]
  }

  isRunning(name: string): boolean {
    return this.#kept.get(name)?.isRunning === true
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#looking
    await Promise.all([...this.#kept.values()].map(({ server }) => server.stop()))
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #run(): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), 'aerodb-operator-'))
    await chmod(this.#directory, 0o711)
    while (!this.#isStopping) {
      await this.#look().catch((fault: unknown) => this.faults.push(String(fault)))
      await sleep(LOOK_MS)
    }
  }

  async #look(): Promise<void> {
    const path = `${CLUSTERS}/namespaces/${this.#namespace}/clusters`
    const { items } = (await askKubernetes(this.#admin, 'GET', path)) as { items: Cluster[] }
    for (const cluster of items) await this.#serve(cluster)
    for (const [name, { server }] of this.#kept)
      if (!items.some(({ metadata }) => metadata.name === name)) {
        await server.stop()
        await rm(join(this.#directory, name), { recursive: true, force: true })
        this.#kept.delete(name)
      }
  }

  async #serve(cluster: Cluster): Promise<void> {
    const { name, annotations = {} } = cluster.metadata
    // Real controllers leave what is being deleted alone until its finalizers are gone.
    if (cluster.metadata.deletionTimestamp !== undefined) return
    const isHibernated = annotations['cnpg.io/hibernation'] === 'on'
    const kept = this.#kept.get(name) ?? (await this.#make(cluster))
    if (isHibernated && kept.isRunning) {
      await kept.server.stop()
      kept.isRunning = false
    } else if (!isHibernated && !kept.isRunning) {
      await kept.server.start()
      await this.#bootstrap(cluster, kept.server)
      kept.isRunning = true
    }
    const readyInstances = kept.isRunning ? cluster.spec.instances : 0
    if (cluster.status?.readyInstances !== readyInstances) await this.#tell(cluster, readyInstances)
  }

  async #make(cluster: Cluster): Promise<Kept> {
    const { name } = cluster.metadata
    const path = `/api/v1/namespaces/${this.#namespace}/secrets/${cluster.spec.superuserSecret.name}`
    const secret = (await askKubernetes(this.#admin, 'GET', path)) as { data: { password: string } }
    const server = new PostgresServer({
      directory: join(this.#directory, name),
      port: this.#portOf(name),
      password: Buffer.from(secret.data.password, 'base64').toString(),
      settings: { ...cluster.spec.postgresql.parameters, fsync: 'off' },
    })
    const kept = { server, isRunning: false }
    this.#kept.set(name, kept)
    return kept
  }

  async #bootstrap({ spec }: Cluster, server: PostgresServer): Promise<void> {
    const { database, owner } = spec.bootstrap.initdb
    const client = new pg.Client({ connectionString: server.url() })
    await client.connect()
    try {
      const known = await client.query('select from pg_database where datname = $1', [database])
      if (known.rowCount !== 0) return
      await client.query(`create role ${owner} login password 'of the operator'`)
      await client.query(`create database ${database} owner ${owner}`)
    } finally {
      await client.end()
    }
  }

  async #tell({ metadata: { name }, spec }: Cluster, readyInstances: number): Promise<void> {
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
    const isReady = readyInstances > 0
    const condition = (type: string, status: boolean) => ({
      type,
      status: status ? 'True' : 'False',
      reason: 'StandIn',
      message: 'told by the stand-in',
      lastTransitionTime: now,
    })
    const status = {
      phase: isReady ? 'Cluster in healthy state' : 'Cluster hibernated',
      instances: spec.instances,
      readyInstances,
      currentPrimary: `${name}-1`,
      instanceNames: Array.from({ length: spec.instances }, (_, index) => `${name}-${index + 1}`),
      conditions: [condition('Ready', isReady), condition('cnpg.io/hibernation', !isReady)],
    }
    const path = `${CLUSTERS}/namespaces/${this.#namespace}/clusters/${name}/status`
    await askKubernetes(this.#admin, 'PATCH', path, { status }, 'application/merge-patch+json')
  }
}

/** Ports for clusters by their names, taken ahead; each name keeps its own. */
export async function makePorts(count: number): Promise<(name: string) => number> {
  const free = await Promise.all(Array.from({ length: count }, () => findFreePort()))
  const taken = new Map<string, number>()
  return (name) => {
    const port = taken.get(name) ?? free.pop()
    if (port === undefined) throw new Error('The test needs more ports')
    taken.set(name, port)
    return port
  }
}
