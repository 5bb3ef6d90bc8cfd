// A process that writes its spool without end and tells its parent how many records were acknowledged. The parent kills it.
import { openSpool } from '../spool.ts'
import { quiet } from './quiet.ts'

const spool = openSpool({ directory: process.argv[2] ?? '', log: quiet, maxSegmentBytes: 100_000 })
let acknowledged = 0
const turn = () => {
  for (let i = 0; i < 20; i++) {
    spool.append(
      {
        kind: 'request',
        tenantId: 'ten_killed',
        completedAtMs: Date.now(),
        method: 'GET',
        endpoint: '/rest/v1/todos',
        status: 200,
        egressBytes: 1,
        ingressBytes: 1,
        durationUs: 1,
      },
      () => {
        acknowledged += 1
      },
    )
  }
  process.send?.(acknowledged)
  setTimeout(turn, 1)
}
turn()
process.on('disconnect', () => process.exit())
