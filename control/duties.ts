import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { PlanCatalogue } from '../tenancy/plan.ts'
import type { ControlConfig } from './config.ts'
import type { IsolationAudits } from './isolation-audit/isolation-audits.ts'
import { drainServers } from './moving/drain.ts'
import type { MoveOptions } from './moving/ends.ts'
import { clearLeftovers } from './moving/leftovers.ts'
import type { ComputeMeter } from './provisioners/compute-meter.ts'
import { keepWanted } from './provisioners/kubernetes/keep-wanted.ts'
import type { Kubernetes } from './provisioners/kubernetes/start-kubernetes.ts'
import type { TenantSleep } from './provisioners/own-server/sleep.ts'
import type { SpareRoles } from './provisioners/spare-roles.ts'
import { followSpendEvents, tellComputeFacts, tellPlanHistories } from './reconciler/billing-sync.ts'
import { type Duty, forgetOld, purgeExpired, requeueAbandoned } from './reconciler/maintenance.ts'
import { refreshRequestCounts } from './reconciler/request-counts.ts'
import { sealStale } from './reconciler/seal-anew.ts'
import { refreshStorage } from './reconciler/storage-refresh.ts'
import { type UpgradeOptions, upgradeTenants } from './reconciler/upgrades.ts'
import type { PublishTouched } from './stores/change.ts'
import type { MeteringClient } from './stores/metering-client.ts'
import { requeueDeliveries } from './stores/webhook-store.ts'

/** How often tenants' own servers are looked at for activity. */
const PAUSE_LOOK_MS = 10_000

/** What control does again and again, each with its interval. Every replica does it, so it must do no harm twice. */
export function listDuties(parts: {
  config: ControlConfig
  pool: PostgresPool
  publish: PublishTouched
  metering: MeteringClient
  catalogue: PlanCatalogue
  sleep: TenantSleep
  compute: ComputeMeter
  kubernetes: Kubernetes | undefined
  spares: SpareRoles
  upgrades: UpgradeOptions
  audits: IsolationAudits
  moves: MoveOptions
  clock: Clock
  log: Logger
}): Duty[] {
  const { config, pool, publish, metering, catalogue, sleep, compute, spares, upgrades, audits, moves, clock } = parts
  const duties: Duty[] = [
    { name: 'requeue abandoned operations', everyMs: 1_000, run: () => requeueAbandoned(pool) },
    { name: 'requeue webhook deliveries', everyMs: 10_000, run: () => requeueDeliveries(pool) },
    { name: 'purge after retention', everyMs: 5_000, run: () => purgeExpired(pool, publish) },
    {
      name: 'refresh storage',
      everyMs: 3_000,
      run: () => refreshStorage({ pool, publish, metering, catalogue }),
    },
    { name: 'refresh request counts', everyMs: 5_000, run: () => refreshRequestCounts(pool, metering, clock.nowMs()) },
    { name: 'make spare roles', everyMs: 1_000, run: () => spares.refill() },
    { name: 'tell plan histories', everyMs: 1_000, run: () => tellPlanHistories(pool, metering) },
    { name: 'measure running servers', everyMs: 1_000, run: () => compute.measureDue() },
    { name: 'tell running time', everyMs: 1_000, run: () => tellComputeFacts(pool, metering) },
    { name: 'follow spending', everyMs: 5_000, run: () => followSpendEvents(pool, publish, metering) },
    { name: 'drain servers', everyMs: 2_000, run: () => drainServers(moves) },
    { name: 'clear what moves have left', everyMs: 30_000, run: () => clearLeftovers(moves) },
    { name: 'upgrade tenants', everyMs: 3_000, run: () => upgradeTenants(upgrades) },
    { name: 'seal anew', everyMs: 60_000, run: () => sealStale(moves) },
    { name: 'forget what is over', everyMs: 600_000, run: () => forgetOld(pool) },
  ]
  const { kubernetes } = parts
  if (kubernetes !== undefined)
    duties.push({
      name: 'keep servers on Kubernetes as wanted',
      everyMs: 10_000,
      run: () =>
        keepWanted({
          pool,
          servers: kubernetes.servers,
          provisioners: Object.values(kubernetes.provisioners),
          log: parts.log,
        }),
    })
  const pauseAfterMs = config.AERODB_PAUSE_AFTER_SECONDS * 1_000
  if (pauseAfterMs > 0)
    duties.push({
      name: 'pause quiet tenants',
      everyMs: PAUSE_LOOK_MS,
      // A little more than an interval back, so that nothing falls between two looks.
      run: () => sleep.pauseQuiet(pauseAfterMs, PAUSE_LOOK_MS * 1.5),
    })
  const auditEveryMs = config.AERODB_ISOLATION_AUDIT_SECONDS * 1_000
  if (auditEveryMs > 0)
    duties.push({
      name: 'isolation audit',
      everyMs: auditEveryMs,
      firstAfterMs: Math.min(auditEveryMs, 60_000),
      run: async () => {
        await audits.run()
      },
    })
  return duties
}
