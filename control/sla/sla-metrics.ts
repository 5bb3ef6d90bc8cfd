import { Counter, Gauge } from 'prom-client'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { makeRegistry } from '../../runtime/process-metrics.ts'
import { ALERT_SEVERITIES } from '../stores/alert-store.ts'
import type { Finding } from './probe.ts'
import { measureState } from './state-metrics.ts'

/**
 * What monitoring reads at control's `/v1/metrics`. Labels are bounded: never a tenant. What every replica would say alike (tenants,
 * operations, open incidents and alerts) is read from the tables when somebody asks.
 */
export class SlaMetrics {
  readonly registry = makeRegistry()
  readonly #looks: Counter<'finding'>
  readonly #passedOver: Counter

  constructor(pool: PostgresPool) {
    const registers = [this.registry]
    measureState(this.registry, pool)
    this.#looks = new Counter({
      name: 'aerodb_prober_looks_total',
      help: 'Looks at tenants by what they found',
      labelNames: ['finding'],
      registers,
    })
    this.#passedOver = new Counter({
      name: 'aerodb_prober_passed_over_total',
      help: 'Turns in which a tenant was not looked at, because gateways had just seen it well',
      registers,
    })
    new Gauge({
      name: 'aerodb_incidents_open',
      help: 'Incidents that have not ended',
      registers,
      async collect() {
        const result = await pool.query<{ count: number }>(
          'select count(*)::int as count from control.incidents where ended_at is null',
        )
        this.set(result.rows[0]?.count ?? 0)
      },
    })
    new Gauge({
      name: 'aerodb_alerts_open',
      help: 'Alerts that are open, by severity',
      labelNames: ['severity'],
      registers,
      async collect() {
        const result = await pool.query<{ severity: string; count: number }>(
          'select severity, count(*)::int as count from control.alerts where resolved_at is null group by severity',
        )
        const counts = new Map(result.rows.map((row) => [row.severity, row.count]))
        for (const severity of ALERT_SEVERITIES) this.set({ severity }, counts.get(severity) ?? 0)
      },
    })
  }

  /** Tells, beside the counters, how many tenants the prober of this process knows and gets no answer of. */
  follow(prober: { readonly tenantCount: number; readonly downCount: number }): void {
    const registers = [this.registry]
    new Gauge({
      name: 'aerodb_prober_tenants',
      help: 'Tenants that this process knows as active',
      registers,
      collect() {
        this.set(prober.tenantCount)
      },
    })
    new Gauge({
      name: 'aerodb_prober_tenants_down',
      help: 'Tenants that this process gets no answer of',
      registers,
      collect() {
        this.set(prober.downCount)
      },
    })
  }

  looked(finding: Finding['kind']): void {
    this.#looks.inc({ finding })
  }

  passedOver(): void {
    this.#passedOver.inc()
  }
}
