import { Gauge, type Registry } from 'prom-client'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'

/** Tells how many tenants there are, and which operations stand: read from the tables, so that every replica says alike. */
export function measureState(registry: Registry, pool: PostgresPool): void {
  const registers = [registry]
  new Gauge({
    name: 'aerodb_tenants',
    help: 'Tenants that are not deleted, by status and isolation',
    labelNames: ['status', 'isolation'],
    registers,
    async collect() {
      const { rows } = await pool.query<{ status: string; isolation: string; count: number }>(
        `select status, isolation, count(*)::int as count from control.tenants
         where status <> 'deleted' group by status, isolation`,
      )
      this.reset()
      for (const { status, isolation, count } of rows) this.set({ status, isolation }, count)
    },
  })
  new Gauge({
    name: 'aerodb_operations_running',
    help: 'Operations that have not ended',
    registers,
    async collect() {
      this.set(await count(pool, `select count(*)::int as count from control.operations where status = 'running'`))
    },
  })
  new Gauge({
    name: 'aerodb_operations_overdue',
    help: 'Operations that have not ended and are past their deadline',
    registers,
    async collect() {
      this.set(
        await count(
          pool,
          `select count(*)::int as count from control.operations where status = 'running' and deadline_at < now()`,
        ),
      )
    },
  })
}

async function count(pool: PostgresPool, query: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(query)
  return rows[0]?.count ?? 0
}
