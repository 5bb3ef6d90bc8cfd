import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeLogger } from '../runtime/log.ts'
import type { RequestRecord, UsageRecord } from './contract.ts'
import { decodeRecord, decodeRecords, encodeRecord } from './record-codec.ts'
import { parseSegmentName, readFrame } from './segment-format.ts'
import { openSpool, type Spool } from './spool.ts'

const log = makeLogger('test', 'silent')
let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'aerodb-spool-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

function request(status: number): RequestRecord {
  return {
    kind: 'request',
    tenantId: 'ten_a',
    completedAtMs: 1_790_000_000_000,
    method: 'GET',
    endpoint: '/rest/v1/todos',
    status,
    egressBytes: 10,
    ingressBytes: 0,
    durationUs: 900,
  }
}

async function appendAndWait(spool: Spool, record: UsageRecord): Promise<void> {
  await new Promise<void>((resolve) => spool.append(record, resolve))
}

/** All intact records of a producer with their sequences, read as a shipper would. */
async function readBack(producer: string, spools = directory): Promise<{ sequence: number; record: unknown }[]> {
  const folder = join(spools, producer)
  const names = (await readdir(folder)).filter((name) => parseSegmentName(name) !== undefined).sort()
  const all: { sequence: number; record: unknown }[] = []
  for (const name of names) {
    const bytes = await readFile(join(folder, name))
    for (let offset = 0; ; ) {
      const at = readFrame(bytes, offset)
      if (at.state !== 'frame') break
      const lines = at.frame.payload.toString().split('\n')
      expect(lines.length).toBe(at.frame.count)
      for (const [i, line] of lines.entries())
        all.push({ sequence: at.frame.firstSequence + i, record: decodeRecord(line) })
      offset = at.end
    }
  }
  return all
}

test('a record is in the spool file when onWritten is called, sequences run from 1 without a hole', async () => {
  const spool = openSpool({ directory, log })
  await appendAndWait(spool, request(200))
  expect((await readBack(spool.producer)).map((r) => r.sequence)).toEqual([1])
  await Promise.all([appendAndWait(spool, request(201)), appendAndWait(spool, request(204))])
  expect(await readBack(spool.producer)).toEqual([
    { sequence: 1, record: request(200) },
    { sequence: 2, record: request(201) },
    { sequence: 3, record: request(204) },
  ])
  await spool.close()
})

test('records of one event-loop turn are written as one frame', async () => {
  const spool = openSpool({ directory, log })
  await Promise.all(Array.from({ length: 50 }, (_, i) => appendAndWait(spool, request(i))))
  await spool.close()
  const [name] = (await readdir(join(directory, spool.producer))).filter((n) => n.endsWith('.seg'))
  const at = readFrame(await readFile(join(directory, spool.producer, name ?? '')), 0)
  expect(at.state === 'frame' && at.frame.count).toBe(50)
})

test('segments rotate by size and lose nothing', async () => {
  const spool = openSpool({ directory, log, maxSegmentBytes: 1_000, fsync: 'off' })
  for (let i = 0; i < 100; i++) await appendAndWait(spool, request(i))
  await spool.close()
  const names = await readdir(join(directory, spool.producer))
  expect(names.filter((name) => name.endsWith('.seg')).length).toBeGreaterThan(5)
  expect((await readBack(spool.producer)).map((r) => r.sequence)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
})

test.each(['off', 'each-batch', { everyMs: 5 }] as const)(
  'under fsync %j every append is acknowledged',
  async (fsync) => {
    const spool = openSpool({ directory, log, fsync, maxSegmentBytes: 500 })
    for (let turn = 0; turn < 10; turn++)
      await Promise.all(Array.from({ length: 7 }, () => appendAndWait(spool, request(200))))
    await spool.close()
    expect(await readBack(spool.producer)).toHaveLength(70)
  },
)

test('while the disk cannot be written serving goes on, and what waited is written once it can', async () => {
  const blocked = join(directory, 'not-a-folder')
  await writeFile(blocked, '')
  const spool = openSpool({ directory: blocked, log, retryMs: 5 })
  await appendAndWait(spool, request(200))
  await appendAndWait(spool, request(500))
  expect(spool.stats()).toMatchObject({ appended: 2, written: 0, pending: 2, dropped: 0 })
  await rm(blocked)
  await expect.poll(() => spool.stats().written).toBe(2)
  await spool.close()
  expect((await readBack(spool.producer, blocked)).map((r) => r.sequence)).toEqual([1, 2])
})

test('a disk that is full, in the middle of a frame too, costs no record once it has space', async () => {
  const [disk, result] = [join(directory, 'disk'), join(directory, 'result')]
  await mkdir(disk)
  const script = fileURLToPath(new URL('./testing/fill-disk.ts', import.meta.url))
  // A disk of the child's own: it is gone with the child.
  const { stdout } = await promisify(execFile)('unshare', [
    '--mount',
    '--map-root-user',
    'sh',
    '-c',
    'mount -t tmpfs -o size=300k tmpfs "$1" && exec "$2" "$3" "$1" "$4"',
    'sh',
    disk,
    process.execPath,
    script,
    result,
  ])
  const { whileFull, after, producer } = JSON.parse(stdout)
  expect(whileFull.writeErrors).toBeGreaterThan(0)
  expect(whileFull.pending).toBeGreaterThan(0)
  expect(after).toMatchObject({ appended: 2_500, written: 2_500, pending: 0, dropped: 0 })
  expect((await readBack(producer, result)).map((one) => one.sequence)).toEqual(
    Array.from({ length: 2_500 }, (_, i) => i + 1),
  )
})

test('memory for records that cannot be written is bounded, and what is lost is counted', async () => {
  const blocked = join(directory, 'not-a-folder')
  await writeFile(blocked, '')
  const spool = openSpool({ directory: blocked, log, retryMs: 5, maxPendingBytes: 1_000 })
  for (let i = 0; i < 100; i++) await appendAndWait(spool, request(200))
  const { pending, dropped, appended } = spool.stats()
  expect(appended).toBe(100)
  expect(pending + dropped).toBe(100)
  expect(pending).toBeLessThan(20)
  await spool.close()
})

test('any record survives encoding, whatever its texts hold; numbers that cannot be billed are brought to ones that can', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 })
  const count = fc.nat()
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          kind: fc.constant('request' as const),
          tenantId: text,
          completedAtMs: count,
          method: fc.string({ maxLength: 16 }),
          endpoint: text,
          status: fc.integer({ min: 100, max: 599 }),
          egressBytes: count,
          ingressBytes: count,
          durationUs: count,
        }),
      ),
      (records) => {
        const lines = records.map(encodeRecord)
        expect(lines.every((line) => !line.includes('\n'))).toBe(true)
        expect(decodeRecords(lines)).toEqual(records)
      },
    ),
  )
  const odd = { ...request(200), egressBytes: Number.NaN, ingressBytes: -5, durationUs: 1.6 }
  expect(decodeRecord(encodeRecord(odd))).toMatchObject({ egressBytes: 0, ingressBytes: 0, durationUs: 2 })
})

test('one unreadable line does not take its neighbours with it', () => {
  const good = encodeRecord(request(200))
  expect(decodeRecords([good, '{"no":"array"}', good, '1],[2'])).toEqual([
    request(200),
    { kind: 'unreadable', text: '{"no":"array"}' },
    request(200),
    { kind: 'unreadable', text: '1],[2' },
  ])
})
