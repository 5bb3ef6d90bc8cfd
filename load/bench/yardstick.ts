import type { Cores } from './cores.ts'
import type { LoadTenant, RequestMix } from './request-mix.ts'

/** What every yardstick is started with; each group adds what its own share. */
export type YardstickContext = {
  cores: Cores
  /** A folder of the run's own, removed at its end. */
  scratch: string
  connections: number
  /** A folder for profiles of our services, where they are wanted. */
  profile: string | undefined
  /** The server behind all of them (Redis, Postgres) whose processor time is counted along. */
  support: Support
}

export type Support = { title: string; pids(): Promise<number[]> }

/** What proxies share: they stand in front of the same upstream and get the same requests. */
export type ProxyContext = YardstickContext & {
  upstreamPort: number
  redis: { port: number; password: string; url: string }
  /** Whose requests the group's mix holds. */
  tenants: readonly LoadTenant[]
}

/** One thing that is measured, running. */
export type RunningYardstick = {
  /** The loopback port that takes the requests. */
  port: number
  /** The processes whose time and memory are counted, workers included. */
  pids(): Promise<number[]>
  /** What is asked of it; the group's own mix where it is not set. */
  mix?: RequestMix
  stop(): Promise<void>
}

/** What names a yardstick. */
export type YardstickName = {
  /** As `--only` names it. */
  name: string
  /** As the table names it. */
  title: string
}

/** One thing that is measured. One file each, in `yardsticks/`. */
export type Yardstick<Context extends YardstickContext> = YardstickName & {
  /** Why it cannot be measured on this machine (not installed ...), or `undefined`. */
  findObstacle?(): Promise<string | undefined>
  /** The version to print beside the table, where it is not ours. */
  version?(): Promise<string>
  start(context: Context): Promise<RunningYardstick>
}
