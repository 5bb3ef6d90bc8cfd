import { countOf, rateOf } from '../k6.ts'
import { createLoadTenants, purgeLoadTenants } from '../load-tenants.ts'
import type { Scenario } from '../scenario.ts'
import { countWhenSettled } from '../usage-settled.ts'
import { trafficFigures } from './mixed.ts'

const LIMIT = 3_000
const REQUESTS = 9_000
const CLIENTS = 1_000

/** A thousand clients at a monthly quota: exactly the quota is admitted, and exactly that is billed. */
export const quotaStorm: Scenario = {
  name: 'quota-storm',
  title: `${CLIENTS} clients send three times the quota: exactly the quota is admitted`,
  async run({ client, runK6, onProgress }) {
    const tenants = await createLoadTenants(client, 1, { prefix: 'storm' })
    const [tenant] = tenants
    if (tenant === undefined) throw new Error('unreachable')
    // Making the tenant's data has used some of it already.
    const used = await countWhenSettled(client, tenant.id)
    await client.control(`/v1/tenants/${tenant.id}`, {
      method: 'PATCH',
      body: { quotas: { api_requests_per_month: used + LIMIT, requests_per_second: 1_000_000 } },
    })
    // A change is in force at every gateway within a second.
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    onProgress(`quota ${used} + ${LIMIT}; ${REQUESTS} requests of ${CLIENTS} clients`)
    const summary = await runK6('quota-storm.js', { tenants }, { CLIENTS, REQUESTS })
    const admitted = countOf(summary, 'admitted')
    const refused = countOf(summary, 'refused')
    const billed = (await countWhenSettled(client, tenant.id)) - used
    await purgeLoadTenants(client, tenants)
    return {
      verdicts: [
        { promise: 'exactly the limit is admitted', measured: `${admitted} of ${LIMIT}`, held: admitted === LIMIT },
        {
          promise: 'all others are refused with 429 quota_exceeded',
          measured: `${refused}; ${(rateOf(summary, 'checks') * 100).toFixed(2)}% of the checks`,
          held: refused === REQUESTS - LIMIT && rateOf(summary, 'checks') === 1,
        },
        { promise: 'exactly the admitted ones are billed', measured: `${billed}`, held: billed === admitted },
      ],
      figures: trafficFigures(summary),
    }
  },
}
