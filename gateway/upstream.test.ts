import { describe } from 'vitest'
import { describeUpstream } from './testing/upstream-conformance.ts'
import { PipelinedUpstream } from './upstream-pipelined.ts'
import { UndiciUpstream } from './upstream-undici.ts'

describe('undici', () => describeUpstream((origin) => new UndiciUpstream(origin)))
describe('pipelined', () =>
  describeUpstream((origin) => new PipelinedUpstream(origin, { pipelining: 16, single: new UndiciUpstream(origin) })))
