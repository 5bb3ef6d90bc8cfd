import { dataGroup } from './data-group.ts'
import type { Group } from './group.ts'
import { latencyGroup } from './latency-group.ts'
import { memoryGroup } from './memory-group.ts'
import { proxyGroup } from './proxy-group.ts'

/** All that the benchmark measures, in the order of its report. */
export const GROUPS: readonly Group[] = [proxyGroup, latencyGroup, memoryGroup, dataGroup]
