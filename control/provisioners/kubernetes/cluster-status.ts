import type { NodeStatus } from '../cluster/cluster-status.ts'
import { HIBERNATION_ANNOTATION, labelsOf, TENANT_LABEL } from './names.ts'

/** What we read of CloudNativePG's `Cluster`. */
export type ObservedCluster = {
  metadata: {
    name: string
    uid: string
    resourceVersion: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    deletionTimestamp?: string
    finalizers?: string[]
  }
  spec?: { instances?: number }
  status?: {
    phase?: string
    phaseReason?: string
    instances?: number
    readyInstances?: number
    currentPrimary?: string
    instanceNames?: string[]
    conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[]
  }
}

function conditionOf({ status }: ObservedCluster, type: string) {
  return status?.conditions?.find((condition) => condition.type === type)
}

/** All instances that are wanted are there and follow: only then does a commit find who acknowledges it. */
export function isReady(cluster: ObservedCluster): boolean {
  const wanted = cluster.spec?.instances ?? 1
  return (
    cluster.metadata.deletionTimestamp === undefined &&
    cluster.metadata.annotations?.[HIBERNATION_ANNOTATION] !== 'on' &&
    conditionOf(cluster, 'Ready')?.status === 'True' &&
    cluster.status?.currentPrimary !== undefined &&
    (cluster.status.readyInstances ?? 0) >= wanted
  )
}

/** All instances have ended, and their volumes are kept. */
export function isHibernated(cluster: ObservedCluster): boolean {
  return conditionOf(cluster, 'cnpg.io/hibernation')?.status === 'True' && (cluster.status?.readyInstances ?? 0) === 0
}

/** What keeps a cluster from being ready, for a person. */
export function describeCluster({ status }: ObservedCluster): string {
  const reason = status?.phaseReason === undefined || status.phaseReason === '' ? '' : `: ${status.phaseReason}`
  return `${status?.phase ?? 'not seen by CloudNativePG yet'}${reason}`
}

/** Since when so many instances run. Only ready ones count: what did not serve is not billed. */
export function runningOf(
  cluster: ObservedCluster,
): { tenantId: string; startedAtMs: number; servers: number } | undefined {
  const tenantId = cluster.metadata.labels?.[TENANT_LABEL]
  const since = conditionOf(cluster, 'Ready')?.lastTransitionTime
  const servers = cluster.status?.readyInstances ?? 0
  const startedAtMs = Date.parse(since ?? '')
  if (tenantId === undefined || servers === 0 || Number.isNaN(startedAtMs)) return undefined
  return { tenantId, startedAtMs, servers }
}

/** What each follower of a primary lacks, by its name; CloudNativePG calls it like its pod. */
export type Followers = ReadonlyMap<string, { state: string; syncState: string; lagBytes: number; lagSeconds: number }>

/** The nodes as the API tells them; `undefined` followers where the primary could not be asked. Pure. */
export function nodesOf({ status }: ObservedCluster, followers: Followers | undefined): NodeStatus[] {
  return (status?.instanceNames ?? []).map((name, index): NodeStatus => {
    const node = Number(/-(\d+)$/.exec(name)?.[1] ?? index + 1)
    if (name === status?.currentPrimary)
      return {
        node,
        role: 'primary',
        state: followers === undefined ? 'down' : 'serving',
        is_in_quorum: false,
        lag_bytes: 0,
        lag_seconds: 0,
      }
    const follower = followers?.get(name)
    return {
      node,
      role: 'standby',
      state: follower === undefined ? 'down' : follower.state === 'streaming' ? 'streaming' : 'catching_up',
      is_in_quorum: follower?.syncState === 'quorum' || follower?.syncState === 'sync',
      lag_bytes: follower?.lagBytes ?? null,
      lag_seconds: follower?.lagSeconds ?? null,
    }
  })
}

/** Selects what belongs to all tenants. */
export const ALL_TENANTS = `app.kubernetes.io/part-of=${labelsOf('')['app.kubernetes.io/part-of']}`
