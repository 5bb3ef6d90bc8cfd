import { type DnsDriver, DnsFault, type RecordChange } from './dns-driver.ts'
import { markName } from './ownership.ts'
import { type Conflict, type DnsHost, type HostPolicy, type PlannedHost, planChanges } from './plan-changes.ts'

/** A host that could not be brought to its state this time. */
export type HostFailure = { host: string; fault: DnsFault }

export type ReconcileReport = {
  created: number
  changed: number
  removed: number
  unchanged: number
  /** Orphans that were left in place, because there were suspiciously many (`MAX_QUIET_REMOVALS`). */
  heldBack: number
  conflicts: readonly Conflict[]
  failures: readonly HostFailure[]
}

/**
 * Tenants' records go with the tenants, one by one. A comparison that finds more orphans than this, and more than half of what
 * is ours, more likely asked the wrong table (a restored or an empty database): it removes none of them.
 */
const MAX_QUIET_REMOVALS = 10

/** The tenants' records at one provider. */
export class TenantDns {
  readonly #driver: DnsDriver
  readonly #policy: HostPolicy

  constructor(driver: DnsDriver, policy: HostPolicy) {
    this.#driver = driver
    this.#policy = policy
  }

  /**
   * Brings one host to its state: to resolve, or (`wanted` undefined) to be gone. Repeating it is harmless.
   * @returns what stands in the way, where something does.
   * @throws DnsFault when the provider did not do it.
   */
  async settle(label: string, wanted: DnsHost | undefined): Promise<Conflict | undefined> {
    const host = `${label}.${this.#policy.domain}`
    const observed = await this.#driver.read([host, markName(host)])
    const plan = planChanges(this.#policy, wanted === undefined ? [] : [wanted], observed)
    for (const planned of plan.hosts) if (planned.host === host) await this.#driver.apply(planned.changes)
    return plan.conflicts[0]
  }

  /**
   * Repairs every drift: missing, wrong and orphaned records of ours. The zone is read before `listDesired` is asked, so a
   * record that appeared with a tenant in between is never taken for an orphan.
   * @throws DnsFault when the zone cannot be read; single hosts that fail are in the report.
   */
  async reconcile(listDesired: () => Promise<readonly DnsHost[]>): Promise<ReconcileReport> {
    const observed = await this.#driver.list()
    const plan = planChanges(this.#policy, await listDesired(), observed)
    const orphans = plan.hosts.filter((planned) => planned.reason === 'orphaned').length
    const isSuspicious = orphans > MAX_QUIET_REMOVALS && orphans > plan.unchanged + plan.hosts.length - orphans
    const hosts = isSuspicious ? plan.hosts.filter((planned) => planned.reason !== 'orphaned') : plan.hosts
    const done: PlannedHost[] = []
    const failures: HostFailure[] = []
    for (const batch of batchesOf(hosts, this.#driver.maxChanges)) {
      try {
        await this.#driver.apply(changesOf(batch))
        done.push(...batch)
      } catch (fault) {
        // A provider with transactions refuses the whole batch for one host: the others are done one by one.
        for (const planned of batch) {
          const failure = isHopeless(fault) ? toFault(fault) : await this.#tryOne(planned)
          if (failure === undefined) done.push(planned)
          else failures.push({ host: planned.host, fault: failure })
        }
      }
    }
    const count = (reason: PlannedHost['reason']) => done.filter((planned) => planned.reason === reason).length
    return {
      created: count('missing'),
      changed: count('wrong'),
      removed: count('orphaned'),
      unchanged: plan.unchanged,
      heldBack: isSuspicious ? orphans : 0,
      conflicts: plan.conflicts,
      failures,
    }
  }

  async #tryOne(planned: PlannedHost): Promise<DnsFault | undefined> {
    try {
      await this.#driver.apply(planned.changes)
      return undefined
    } catch (fault) {
      return toFault(fault)
    }
  }
}

function changesOf(hosts: readonly PlannedHost[]): RecordChange[] {
  return hosts.flatMap((planned) => planned.changes)
}

/** Whole hosts, together at most `maxChanges` changes (but at least one host). */
function batchesOf(hosts: readonly PlannedHost[], maxChanges: number): PlannedHost[][] {
  const batches: PlannedHost[][] = []
  let room = 0
  for (const planned of hosts) {
    const last = batches.at(-1)
    if (last === undefined || planned.changes.length > room) {
      batches.push([planned])
      room = maxChanges - planned.changes.length
    } else {
      last.push(planned)
      room -= planned.changes.length
    }
  }
  return batches
}

/** The provider is away or wants to be left alone: asking for each host again would only make it worse. */
function isHopeless(fault: unknown): boolean {
  return fault instanceof DnsFault && (fault.code === 'dns_unreachable' || fault.code === 'dns_rate_limited')
}

function toFault(fault: unknown): DnsFault {
  return fault instanceof DnsFault
    ? fault
    : new DnsFault('dns_bad_answer', 'The provider’s answer was not understood.', { cause: fault })
}
