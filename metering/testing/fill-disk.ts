// Writes a spool on a disk that fills up and is freed again; run where `<folder>` is a small disk of its own. At the end the
// spool lies in `<folder for the result>` and one line of JSON says what the writer saw.
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openSpool } from '../spool.ts'
import { appendMany } from './harness.ts'
import { quiet } from './quiet.ts'

const [, , disk = '', result = ''] = process.argv
const filler = join(disk, 'filler')
const spool = openSpool({ directory: join(disk, 'spool'), log: quiet, retryMs: 5, maxSegmentBytes: 50_000 })
await appendMany(spool, 'ten_full', 500)
// What the kernel takes before it refuses is all that is left.
await writeFile(filler, Buffer.alloc(4_000_000)).catch((fault: NodeJS.ErrnoException) => {
  if (fault.code !== 'ENOSPC') throw fault
})
// Each of these is acknowledged: serving does not wait for the disk.
await appendMany(spool, 'ten_full', 2_000)
const whileFull = spool.stats()
await rm(filler)
while (spool.stats().written < spool.stats().appended) await sleep(5)
await spool.close()
await cp(join(disk, 'spool'), result, { recursive: true })
process.stdout.write(JSON.stringify({ whileFull, after: spool.stats(), producer: spool.producer }))
