import type { Endpoints } from '../platform.ts'
import type { YardstickContext } from './yardstick.ts'

/** A tenant with data, as the platform made it. */
export type DataTenant = { tenantId: string; name: string; anonKey: string; serviceKey: string }

/** What the yardsticks with a database share: a platform whose control, metering, Redis and Postgres run on the loading core. */
export type DataContext = YardstickContext & {
  endpoints: Endpoints
  /** Secrets that the platform was started with, so that further gateways and backends belong to it. */
  secrets: { internal: string; encryption: string }
  redisUrl: string
  /** Schema tenants, each with the collection `todos`. */
  tenants: readonly DataTenant[]
  /** A tenant whose table has no row-level security: what isolation is compared with. */
  single: DataTenant
  /** The administrator's URL of a database for PostgREST with the same table. */
  postgrestUrl: string
}

/** Rows in each `todos` table. */
export const ROWS = 1_000
export const ONE_ROW_PATH = '/rest/v1/todos?id=eq.42'
export const LIST_PATH = '/rest/v1/todos?order=id&limit=10'
