import { describeLargeBodies } from './testing/large-bodies.ts'

// Enough to show that memory does not grow with it; `large-bodies.long.test.ts` sends 1 GB each way.
describeLargeBodies(300_000_000, 120_000)
