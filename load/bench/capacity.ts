import type { GroupResult } from './group.ts'
import type { Sample } from './measure.ts'
import { median } from './statistics.ts'
import { renderLine, wholeNumber } from './table.ts'

/** A million tenants, one in ten active at the peak with one request a second. */
const PEAK_REQUESTS_PER_SECOND = 100_000
/** Half load: keeps the latency low and survives the loss of half the fleet. */
const UTILISATION = 0.5
const TENANTS_MEASURED = 10_000

/**
 * What a million tenants need, from the processor times of one run; `undefined` unless it measured all four. Times for each
 * request, not throughputs: those are what a neighbour on the machine distorts.
 */
export function renderCapacity(results: readonly GroupResult[]): string | undefined {
  const of = (name: string, field: keyof Sample): number | undefined => {
    const samples = results.flatMap(({ rows }) => rows).find((row) => row.yardstick.name === name)?.samples ?? []
    return samples.length === 0 ? undefined : median(samples.map((sample) => sample[field]))
  }
  const gatewayUs = of('gateway-10000', 'cpuUsPerRequest')
  const redisUs = of('gateway-10000', 'supportCpuUsPerRequest')
  const backendUs = of('backend', 'cpuUsPerRequest')
  const postgresUs = of('backend', 'supportCpuUsPerRequest')
  if (gatewayUs === undefined || redisUs === undefined || backendUs === undefined || postgresUs === undefined)
    return undefined
  const line = (part: string, us: number) =>
    renderLine([part, us.toFixed(1), wholeNumber(Math.ceil((PEAK_REQUESTS_PER_SECOND * us) / 1e6 / UTILISATION))])
  const grownBytes = (of('gateway-10000', 'rssBytes') ?? 0) - (of('gateway', 'rssBytes') ?? Number.NaN)
  return [
    [
      renderLine([
        'part',
        'CPU µs/req',
        `cores for ${wholeNumber(PEAK_REQUESTS_PER_SECOND)} req/s at ${UTILISATION} load`,
      ]),
      renderLine(['---', '---:', '---:']),
      line('gateways (`gateway-10000`)', gatewayUs),
      line('Redis (of `gateway-10000`)', redisUs),
      line('backends (`backend`, one row by id)', backendUs),
      line('shared Postgres servers (of `backend`)', postgresUs),
    ].join('\n'),
    grownBytes > 0
      ? `A cached tenant takes about ${(grownBytes / TENANTS_MEASURED / 1e3).toFixed(1)} kB of a gateway worker (RSS of \`gateway-10000\` less that of \`gateway\`).`
      : '',
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}
