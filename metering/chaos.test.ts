import { type ChildProcess, fork } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { monthOf } from './month.ts'
import { reconcile } from './reconciliation.ts'
import { surveySpools } from './spool-survey.ts'
import { Pipeline } from './testing/harness.ts'

let pipeline: Pipeline
const children = new Set<ChildProcess>()

beforeEach(async () => {
  pipeline = await Pipeline.open()
})
afterEach(async () => {
  for (const child of children) await kill(child)
  await pipeline.close()
})

const soon = { timeout: 20_000, interval: 20 }

test('writers, shippers, sinks, database sessions and Redis with its data die under load: the ledger is exact', async () => {
  let acknowledged = 0
  let writer = startWriter()
  let shipper = startProcess('run-shipper.ts', [pipeline.spoolDirectory, pipeline.redis.url])
  let sink = startProcess('run-sink.ts', [pipeline.databaseUrl, pipeline.redis.url])
  await expect.poll(() => pipeline.ledgerRequests(), soon).toBeGreaterThan(0)

  const deaths: (() => Promise<void>)[] = [
    async () => {
      await kill(sink)
      sink = startProcess('run-sink.ts', [pipeline.databaseUrl, pipeline.redis.url])
    },
    async () => {
      await kill(shipper)
      shipper = startProcess('run-shipper.ts', [pipeline.spoolDirectory, pipeline.redis.url])
    },
    async () => {
      acknowledged += writer.acknowledged
      await kill(writer.process)
      writer = startWriter()
    },
    async () => {
      await pipeline.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'aerodb-usage-sink-%'`,
      )
    },
    async () => {
      await pipeline.redis.stop()
      await pipeline.redis.start()
    },
  ]
  for (const death of [...deaths, ...deaths.toReversed()]) {
    const before = writer.acknowledged
    await death()
    await expect.poll(() => writer.acknowledged, soon).not.toBe(before)
  }
  acknowledged += writer.acknowledged
  await kill(writer.process)

  await expect.poll(() => readdir(pipeline.spoolDirectory), { timeout: 60_000, interval: 50 }).toEqual([])
  const counted = await pipeline.ledgerRequests()
  expect(counted).toBeGreaterThanOrEqual(acknowledged)
  const { startMs, endMs } = monthOf(Date.now())
  const spools = await surveySpools(pipeline.spoolDirectory)
  const findings = await reconcile(pipeline.pool, { fromMs: startMs, untilMs: endMs }, spools, counted)
  expect(findings.filter((finding) => finding.difference !== undefined)).toEqual([])
  const { rows } = await pipeline.pool.query(
    `select (select count(*)::int from metering.ledger where kind in ('hole', 'unreadable')) as lost,
       (select sum(mark - 1)::text from metering.producers) as spooled`,
  )
  expect(rows[0]).toEqual({ lost: 0, spooled: String(counted) })
}, 120_000)

function startWriter(): { process: ChildProcess; acknowledged: number } {
  const writer = { process: startProcess('kill-writer.ts', [pipeline.spoolDirectory]), acknowledged: 0 }
  writer.process.on('message', (count) => {
    writer.acknowledged = Number(count)
  })
  return writer
}

function startProcess(file: string, args: readonly string[]): ChildProcess {
  const child = fork(fileURLToPath(new URL(`./testing/${file}`, import.meta.url)), args)
  children.add(child)
  return child
}

/** SIGKILL, and what the child had sent until then is received. */
async function kill(child: ChildProcess): Promise<void> {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.kill('SIGKILL')
  })
}
