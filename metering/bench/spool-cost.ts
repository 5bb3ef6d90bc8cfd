// What one request pays for its record: `node metering/bench/spool-cost.ts`. Records per event-loop turn vary; the time is
// the CPU time of this process per record, encoding, checksum and write included.

import { createWriteStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeLogger } from '../../runtime/log.ts'
import type { UsageRecord } from '../contract.ts'
import { encodeRecord } from '../record-codec.ts'
import { openSpool } from '../spool.ts'

const RECORDS = 100_000
const directory = await mkdtemp(join(tmpdir(), 'aerodb-bench-'))
const record: UsageRecord = {
  kind: 'request',
  tenantId: 'ten_01k3zq8v5w9r2m4n6p8s0t1xyz',
  completedAtMs: Date.now(),
  method: 'GET',
  endpoint: '/rest/v1/todos',
  status: 200,
  egressBytes: 4_321,
  ingressBytes: 0,
  durationUs: 1_234,
}

async function measure(name: string, perTurn: number, turn: (n: number) => Promise<void> | void): Promise<void> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  for (let done = 0; done < RECORDS; done += perTurn) {
    await turn(perTurn)
  }
  const wallMs = performance.now() - started
  const used = process.cpuUsage(cpu)
  const cpuUs = (used.user + used.system) / RECORDS
  console.log(
    `${name.padEnd(28)} ${String(perTurn).padStart(4)} per turn  ${cpuUs.toFixed(2).padStart(7)} µs CPU per record  ${((RECORDS / wallMs) * 1000).toFixed(0).padStart(8)} records/s`,
  )
}

const log = makeLogger('bench', 'warn')
for (const perTurn of [1, 8, 64]) {
  await measure('event loop alone', perTurn, () => new Promise((done) => setImmediate(done)))
  for (const fsync of ['off', { everyMs: 1_000 }] as const) {
    const spool = openSpool({ directory, log, fsync })
    await measure(
      `spool, fsync ${JSON.stringify(fsync)}`,
      perTurn,
      (n) =>
        new Promise<void>((done) => {
          for (let i = 1; i < n; i++) spool.append(record, () => {})
          spool.append(record, done)
        }),
    )
    await spool.close()
  }
  const file = await open(join(directory, `async-${perTurn}`), 'w')
  await measure('alternative: async write', perTurn, async (n) => {
    let text = ''
    for (let i = 0; i < n; i++) text += `${encodeRecord(record)}\n`
    await file.write(text)
  })
  await file.close()
  const stream = createWriteStream(join(directory, `stream-${perTurn}`))
  await measure('alternative: write stream', perTurn, (n) => {
    let text = ''
    for (let i = 0; i < n; i++) text += `${encodeRecord(record)}\n`
    return new Promise<void>((done) => stream.write(text, () => done()))
  })
  stream.destroy()
}
await rm(directory, { recursive: true, force: true })
