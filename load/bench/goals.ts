import type { Row } from './rounds.ts'
import { cpuRatio, formatRatio, ratioTo, renderLine } from './table.ts'

/** A ratio that the project promises: throughput of `of` over throughput of `to`. */
export type Goal = { kind: 'floor' | 'goal'; of: string; to: string; atLeast: number; source: string }

export const GOALS: readonly Goal[] = [
  { kind: 'floor', of: 'gateway', to: 'undici', atLeast: 0.85, source: 'issue 3' },
  { kind: 'floor', of: 'gateway-p1', to: 'undici', atLeast: 0.85, source: 'issue 3' },
  { kind: 'floor', of: 'gateway', to: 'caddy', atLeast: 1.5, source: 'issue 3' },
  { kind: 'floor', of: 'gateway-p1', to: 'caddy', atLeast: 1.5, source: 'issue 3' },
  { kind: 'goal', of: 'gateway', to: 'nginx-lua', atLeast: 1.25, source: 'issue 3' },
  { kind: 'goal', of: 'gateway-p16', to: 'nginx-lua', atLeast: 1.25, source: 'issue 3' },
  { kind: 'goal', of: 'gateway', to: 'nginx', atLeast: 0.5, source: 'issue 3' },
  { kind: 'goal', of: 'gateway-p16', to: 'nginx', atLeast: 0.5, source: 'issue 3' },
  { kind: 'goal', of: 'gateway-10000', to: 'gateway', atLeast: 0.95, source: 'issue 3' },
  { kind: 'goal', of: 'backend', to: 'backend-single', atLeast: 0.98, source: 'issue 5' },
  { kind: 'goal', of: 'backend', to: 'postgrest', atLeast: 3, source: 'issue 5' },
  { kind: 'goal', of: 'gateway-backend', to: 'postgrest', atLeast: 2, source: 'issue 5' },
]

/**
 * The goals that these rows can answer, each with what was measured: by throughput, which decides, and by processor time
 * for each request, which says the same where the serving core is the bottleneck and is distorted less by neighbours.
 */
export function renderGoals(rows: readonly Row[]): string {
  const lines = GOALS.flatMap(({ kind, of, to, atLeast, source }) => {
    const ratio = ratioTo(rows, of, to)
    if (ratio === undefined) return []
    const verdict = ratio >= atLeast ? 'met' : 'not met'
    return [
      [`${of} / ${to}`, kind, `≥ ${atLeast}`, formatRatio(ratio), formatRatio(cpuRatio(rows, of, to)), verdict, source],
    ]
  })
  if (lines.length === 0) return ''
  const headings = ['ratio', '', 'promised', 'by req/s', 'by CPU', '', 'from']
  return [headings, ['---', '---', '---:', '---:', '---:', '---', '---'], ...lines].map(renderLine).join('\n')
}
