import { tenantNameSchema } from '../../tenancy/tenant.ts'
import type { RecordChange, RecordSet, RecordType } from './dns-driver.ts'
import { formatMark, hostOfMark, markName, parseMark } from './ownership.ts'

/** A host that is to resolve: a tenant's name, or one of the platform's own (`control`). */
export type DnsHost = { label: string; tenantId: string }

/** What every host points to, and under whose mark. */
export type HostPolicy = {
  /** Hosts are `<label>.<domain>`. */
  domain: string
  /** Names this platform among others that write to the same zone. */
  owner: string
  ttlSeconds: number
  targets: readonly { type: Exclude<RecordType, 'TXT'>; values: readonly string[] }[]
  /** Labels of the platform itself, which no tenant may have. */
  platformLabels: ReadonlySet<string>
}

export type PlannedHost = { host: string; reason: 'missing' | 'wrong' | 'orphaned'; changes: readonly RecordChange[] }

/** A host that is left alone, and why. */
export type Conflict = { host: string; code: 'foreign_record' | 'other_owner' | 'invalid_name'; detail: string }

export type DnsPlan = { hosts: readonly PlannedHost[]; conflicts: readonly Conflict[]; unchanged: number }

const ADDRESS_TYPES = ['A', 'AAAA', 'CNAME'] as const

/**
 * Compares what is wanted with what the zone holds. Ours is what carries our mark, and only A, AAAA, CNAME and the mark
 * itself of such a host are ever changed. A wanted host whose records nobody marked is left alone, unless they already
 * say exactly what they should: then only the mark is added (records made by hand before the driver was switched on).
 */
export function planChanges(policy: HostPolicy, desired: readonly DnsHost[], observed: readonly RecordSet[]): DnsPlan {
  const zone = new Map(observed.map((set) => [`${set.type} ${set.name}`, set]))
  const find = (type: RecordType, name: string) => zone.get(`${type} ${name}`)
  const hosts: PlannedHost[] = []
  const conflicts: Conflict[] = []
  const wanted = new Set<string>()
  let unchanged = 0

  for (const { label, tenantId } of desired) {
    const host = `${label}.${policy.domain}`
    wanted.add(host)
    if (!policy.platformLabels.has(label) && !tenantNameSchema.safeParse(label).success) {
      conflicts.push({ host, code: 'invalid_name', detail: 'The name may not be a tenant’s.' })
      continue
    }
    const mark = find('TXT', markName(host))
    const isOurs = isMarkedBy(mark, policy.owner)
    const present = ADDRESS_TYPES.filter((type) => find(type, host) !== undefined)
    if (!isOurs && mark !== undefined) {
      conflicts.push({ host, code: 'other_owner', detail: `The mark at ${mark.name} is another platform’s.` })
      continue
    }
    const goals = ADDRESS_TYPES.map((type) => ({
      before: find(type, host),
      after: goalOf(policy, host, type),
    }))
    const isAsWanted = goals.every(({ before, after }) => hasSameValues(before, after))
    if (!isOurs && present.length > 0 && !isAsWanted) {
      conflicts.push({ host, code: 'foreign_record', detail: `There is ${present.join(' and ')} without our mark.` })
      continue
    }
    const markGoal: RecordSet = {
      name: markName(host),
      type: 'TXT',
      ttlSeconds: policy.ttlSeconds,
      values: [formatMark({ owner: policy.owner, tenantId })],
    }
    // The mark goes first: a provider without transactions never shows records of ours without it.
    const changes = [{ before: mark, after: markGoal }, ...removalsFirst(goals)].filter(isChange).map(toChange)
    if (changes.length === 0) unchanged++
    else hosts.push({ host, reason: isOurs && present.length > 0 ? 'wrong' : 'missing', changes })
  }

  for (const set of observed) {
    const host = set.type === 'TXT' ? hostOfMark(set.name, policy.domain) : undefined
    if (host === undefined || wanted.has(host) || !isMarkedBy(set, policy.owner)) continue
    // The mark goes last: what is left of an interrupted removal is still ours.
    const removals = [...ADDRESS_TYPES.map((type) => find(type, host)), set]
    const changes = removals.filter((before) => before !== undefined).map((before) => ({ before }))
    hosts.push({ host, reason: 'orphaned', changes })
  }
  return { hosts, conflicts, unchanged }
}

type Goal = { before: RecordSet | undefined; after: RecordSet | undefined }

function goalOf(policy: HostPolicy, name: string, type: RecordType): RecordSet | undefined {
  const target = policy.targets.find((candidate) => candidate.type === type)
  return target === undefined ? undefined : { name, type, ttlSeconds: policy.ttlSeconds, values: target.values }
}

/** Addresses go before a CNAME comes and the other way round: the two never stand side by side. */
function removalsFirst(goals: readonly Goal[]): Goal[] {
  return goals.toSorted((a, b) => Number(a.after !== undefined) - Number(b.after !== undefined))
}

function isChange({ before, after }: Goal): boolean {
  if (before === undefined || after === undefined) return before !== after
  return before.needsRewrite === true || before.ttlSeconds !== after.ttlSeconds || !hasSameValues(before, after)
}

function toChange({ before, after }: Goal): RecordChange {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
}

function hasSameValues(a: RecordSet | undefined, b: RecordSet | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.values.length === b.values.length && a.values.toSorted().join('\n') === b.values.toSorted().join('\n')
}

function isMarkedBy(set: RecordSet | undefined, owner: string): boolean {
  return set?.values.some((value) => parseMark(value)?.owner === owner) ?? false
}
