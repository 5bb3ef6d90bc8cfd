import type { Cores } from './cores.ts'
import type { LoadGenerator } from './generators/measurement.ts'
import type { BenchOptions } from './options.ts'
import type { Row } from './rounds.ts'
import type { Base } from './table.ts'
import type { YardstickName } from './yardstick.ts'

/** What one run gives to each of its groups. */
export type RunContext = {
  options: BenchOptions
  cores: Cores
  generator: LoadGenerator
  /** A folder of the run's own, removed at its end. */
  scratch: string
  onProgress: (text: string) => void
}

/** What a group found; `notes` are Markdown and stand under its table. */
export type GroupResult = {
  group: string
  title: string
  bases: readonly Base[]
  /** The server whose processor time stands beside that of the measured processes. */
  support: string
  rows: readonly Row[]
  notes: readonly string[]
  /** What sent the requests, where it is not the run's own generator. */
  generator?: string
}

/** Yardsticks that are measured in one set of rounds, because they are compared with each other. */
export type Group = {
  name: string
  yardsticks: readonly YardstickName[]
  /** @param wanted the names of those that are to be measured. */
  run(wanted: ReadonlySet<string>, context: RunContext): Promise<GroupResult>
}
