import type { SeriesLine } from './series-card.tsx'

/** Requests by what was answered. */
export const STATUS_LINES: readonly SeriesLine[] = [
  { id: '2xx', name: 'Succeeded (2xx)', color: 'var(--chart-1)' },
  { id: '1xx', name: 'Upgraded (1xx)', color: 'var(--chart-5)' },
  { id: '3xx', name: 'Redirected (3xx)', color: 'var(--chart-2)' },
  { id: '4xx', name: 'Refused (4xx)', color: 'var(--chart-3)' },
  { id: '5xx', name: 'Failed (5xx)', color: 'var(--chart-4)' },
]
