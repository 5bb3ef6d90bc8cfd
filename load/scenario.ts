import type { K6Summary } from './k6.ts'
import type { LoadPlatform } from './platform.ts'
import type { PlatformClient } from './platform-client.ts'

/** What a scenario may be told on the command line. */
export type ScenarioOptions = {
  /** Length of the load; each scenario has its own default. */
  durationSeconds: number | undefined
  /** Requests a second, where the scenario has a rate. */
  rate: number | undefined
  /** Another number of tenants than the scenario's own, for a machine that is too small or too busy. */
  tenants: number | undefined
}

export type ScenarioContext = {
  platform: LoadPlatform
  client: PlatformClient
  options: ScenarioOptions
  /** Runs a script of `scenarios/k6/` with `data` (JSON that it opens) and `env`. */
  runK6: (script: string, data: unknown, env: Readonly<Record<string, string | number>>) => Promise<K6Summary>
  onProgress: (text: string) => void
}

/** One promise with what was measured of it. */
export type Verdict = { promise: string; measured: string; held: boolean }

export type ScenarioResult = {
  verdicts: readonly Verdict[]
  figures: readonly (readonly [string, string])[]
  notes?: readonly string[]
}

/** A kind of load with what it promises. Bounded: it stops by itself. */
export type Scenario = {
  name: string
  title: string
  /** Settings of a platform that is started for it. */
  env?: Readonly<Record<string, string>>
  run: (context: ScenarioContext) => Promise<ScenarioResult>
}
