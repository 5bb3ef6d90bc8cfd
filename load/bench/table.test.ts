import { expect, test } from 'vitest'
import { renderGoals } from './goals.ts'
import type { Sample } from './measure.ts'
import type { Row } from './rounds.ts'
import { cpuRatio, ratioTo, renderTable } from './table.ts'

function row(name: string, rates: readonly number[], cpuUsPerRequest = 10): Row {
  const samples = rates.map(
    (requestsPerSecond): Sample => ({
      requests: 1,
      durationMs: 1,
      errors: 0,
      p50Ms: 1,
      p99Ms: 2,
      maxMs: 3,
      requestsPerSecond,
      cpuUsPerRequest,
      supportCpuUsPerRequest: 0,
      rssBytes: 0,
      foreignShare: 0,
    }),
  )
  return { yardstick: { name, title: name }, samples }
}

test('a ratio is taken within each round, so that a slower machine in one of them changes nothing', () => {
  const rows = [row('gateway', [900, 90, 900]), row('undici', [1_000, 100, 1_000])]
  expect(ratioTo(rows, 'gateway', 'undici')).toBeCloseTo(0.9)
  expect(renderGoals(rows)).toContain('| gateway / undici | floor | ≥ 0.85 | 0.90 | 1.00 | met | issue 3 |')
})

test('processor time gives the ratio where throughput is that of the load generator', () => {
  expect(cpuRatio([row('gateway', [1], 20), row('nginx', [1], 10)], 'gateway', 'nginx')).toBe(0.5)
})

test('what could not be measured stands in the table with its reason, and no goal is judged by it', () => {
  const rows = [row('gateway', [1]), { ...row('nginx', []), obstacle: 'nginx is not installed' }]
  expect(renderTable(rows, [], 'Redis')).toContain('| nginx | not measured: nginx is not installed |')
  expect(renderGoals(rows)).toBe('')
})
