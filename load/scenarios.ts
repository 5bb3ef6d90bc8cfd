import type { Scenario } from './scenario.ts'
import { chaos } from './scenarios/chaos.ts'
import { density } from './scenarios/density.ts'
import { growth } from './scenarios/growth.ts'
import { mixedScenario } from './scenarios/mixed.ts'
import { noisyNeighbour } from './scenarios/noisy-neighbour.ts'
import { provisioning } from './scenarios/provisioning.ts'
import { quotaStorm } from './scenarios/quota-storm.ts'
import { realtime } from './scenarios/realtime.ts'
import { soak } from './scenarios/soak.ts'
import { spike } from './scenarios/spike.ts'

/** Every scenario that `npm run load` knows. */
export const SCENARIOS: readonly Scenario[] = [
  mixedScenario({
    name: 'smoke',
    title: 'two tenants, mixed reads and writes, 30 s',
    tenants: 2,
    rate: 50,
    seconds: 30,
    p95LimitMs: 100,
  }),
  mixedScenario({
    name: 'schema-10',
    title: '10 schema tenants at the rate of schema-1000: what schema-10000 is compared with',
    tenants: 10,
    rate: 1_000,
    seconds: 60,
    p95LimitMs: 100,
    p95GoalMs: 10,
  }),
  mixedScenario({
    name: 'schema-1000',
    title: '1 000 schema tenants, mixed reads and writes, every response checked for its tenant',
    tenants: 1_000,
    rate: 1_000,
    seconds: 60,
    p95LimitMs: 100,
    p95GoalMs: 10,
  }),
  quotaStorm,
  noisyNeighbour,
  spike,
  soak,
  provisioning,
  growth,
  density,
  chaos,
  mixedScenario({
    name: 'database-100',
    title: '100 tenants with a database of their own, all active',
    tenants: 100,
    isolation: 'database',
    rate: 1_000,
    seconds: 60,
    p95LimitMs: 100,
    p95GoalMs: 15,
  }),
  mixedScenario({
    name: 'schema-10000',
    title: '10 000 schema tenants at the same rate: the cost has to stay flat',
    tenants: 10_000,
    rate: 1_000,
    seconds: 120,
    p95LimitMs: 100,
    p95GoalMs: 10,
  }),
  realtime,
]
