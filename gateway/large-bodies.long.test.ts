import { describeLargeBodies } from './testing/large-bodies.ts'

describeLargeBodies(1_000_000_000, 600_000)
