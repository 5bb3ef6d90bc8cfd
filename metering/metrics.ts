import { Counter, Gauge, type Registry } from 'prom-client'
import { makeRegistry } from '../runtime/process-metrics.ts'
import type { SinkStats } from './sink.ts'

export type MeteringReadings = {
  sink: () => SinkStats
  /** Entries that wait in the stream, over all partitions. */
  countWaiting: () => Promise<number>
  /** When the oldest of them was put there, in milliseconds since the epoch; undefined when none waits. */
  findOldestMs: () => Promise<number | undefined>
  nowMs: () => number
}

/** What monitoring reads at metering's `/metrics`. While Redis is away what is read from it is NaN: not known, and not none. */
export function makeMeteringMetrics(readings: MeteringReadings): Registry {
  const registry = makeRegistry()
  const registers = [registry]
  const total = (name: string, help: string, read: (stats: SinkStats) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(readings.sink()))
      },
    })
  }
  total('aerodb_metering_requests_total', 'Requests that this sink counted', (stats) => stats.requests)
  total('aerodb_metering_batches_total', 'Transactions of the ledger', (stats) => stats.batches)
  total('aerodb_metering_duplicates_total', 'Records that came again and were not counted again', (stats) => {
    return stats.duplicates
  })
  total(
    'aerodb_metering_refused_total',
    'Entries refused behind a gap; their shipper sends again',
    (stats) => stats.refused,
  )
  total('aerodb_metering_set_aside_total', 'Records that could not be read', (stats) => stats.setAside)
  new Gauge({
    name: 'aerodb_metering_partitions',
    help: 'Partitions of the stream that this sink holds',
    registers,
    collect() {
      this.set(readings.sink().partitions.length)
    },
  })
  new Gauge({
    name: 'aerodb_metering_stream_entries',
    help: 'Entries that wait in the stream',
    registers,
    async collect() {
      this.set(await readings.countWaiting().catch(() => Number.NaN))
    },
  })
  new Gauge({
    name: 'aerodb_metering_oldest_entry_age_seconds',
    help: 'For how long the oldest entry has waited in the stream',
    registers,
    async collect() {
      const oldestMs = await readings.findOldestMs().catch(() => Number.NaN)
      this.set(oldestMs === undefined ? 0 : Math.max(0, (readings.nowMs() - oldestMs) / 1_000))
    },
  })
  return registry
}
