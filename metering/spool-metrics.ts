import { Counter, Gauge, type Registry } from 'prom-client'
import type { Spool } from './spool.ts'

/** Tells, in a process that writes usage, how its spool fares. `aerodb_spool_records_lost_total` must stay at 0: it is unbilled use. */
export function measureSpool(registry: Registry, spool: Pick<Spool, 'stats'>): void {
  const registers = [registry]
  const total = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
  total('aerodb_spool_records_total', 'Usage records that were to be written', () => spool.stats().appended)
  total(
    'aerodb_spool_records_lost_total',
    'Usage records lost: the disk could not be written and memory was full',
    () => {
      return spool.stats().dropped
    },
  )
  total('aerodb_spool_write_errors_total', 'Writes of the spool that failed', () => spool.stats().writeErrors)
  new Gauge({
    name: 'aerodb_spool_records_pending',
    help: 'Usage records in memory that wait for the disk',
    registers,
    collect() {
      this.set(spool.stats().pending)
    },
  })
}
