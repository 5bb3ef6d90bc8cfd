import { formatBytes, formatCompact } from './format.ts'
import type { components } from './platform-api.ts'

export type UsageField = keyof NonNullable<components['schemas']['EstimateRequest']['usage']>

/** What the calculator asks for: from nothing over `least` to `most` on a scale of powers, as usage differs by those. */
export type UsageScale = {
  field: UsageField
  label: string
  least: number
  most: number
  start: number
  format: (value: number) => string
}

export const SCALES: readonly UsageScale[] = [
  { field: 'api_requests', label: 'API requests a month', least: 1e4, most: 1e9, start: 8e5, format: formatCompact },
  { field: 'storage_bytes', label: 'Documents stored', least: 1e8, most: 1e13, start: 1e10, format: formatBytes },
  { field: 'file_storage_bytes', label: 'Files stored', least: 1e8, most: 1e14, start: 5e10, format: formatBytes },
  { field: 'egress_bytes', label: 'Egress a month', least: 1e8, most: 1e14, start: 1e11, format: formatBytes },
  {
    field: 'realtime_messages',
    label: 'Realtime messages a month',
    least: 1e4,
    most: 1e10,
    start: 1e6,
    format: formatCompact,
  },
]

/** Positions of a slider. */
export const POSITIONS = 100

/** The amount at a position: two significant digits, so that it reads well. */
export function amountAt({ least, most }: UsageScale, position: number): number {
  if (position <= 0) return 0
  const exact = least * (most / least) ** ((position - 1) / (POSITIONS - 1))
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(exact)) - 1)
  return Math.round(exact / unit) * unit
}

/** The position that is nearest to an amount. */
export function positionOf({ least, most }: UsageScale, amount: number): number {
  if (amount <= 0) return 0
  const share = Math.log(amount / least) / Math.log(most / least)
  return Math.min(POSITIONS, Math.max(1, Math.round(1 + share * (POSITIONS - 1))))
}
