// A shipper in a process of its own, to be killed: `<spool directory> <Redis URL>`.
import { startShipper } from '../shipper.ts'
import { quiet } from './quiet.ts'

startShipper({
  directory: process.argv[2] ?? '',
  redisUrls: (process.argv[3] ?? '').split(','),
  log: quiet,
  pollMs: 10,
  scanMs: 20,
  stallMs: 300,
})
process.on('disconnect', () => process.exit())
