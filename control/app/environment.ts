import type { Context } from 'hono'
import type { Clock } from '../../runtime/clock.ts'
import type { FailedAttempts } from '../../runtime/failed-attempts.ts'
import type { ServiceVariables } from '../../runtime/hono-service.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Sealer } from '../../runtime/seal.ts'
import type { ServiceTokenCodec } from '../../runtime/service-token.ts'
import type { Isolation, PlanCatalogue } from '../../tenancy/plan.ts'
import type { RequestContextCodec } from '../../tenancy/request-context.ts'
import type { TenantStatus } from '../../tenancy/tenant.ts'
import type { NodeStatus } from '../provisioners/cluster/cluster-status.ts'
import type { Reconciler } from '../reconciler/reconciler.ts'
import type { Actor } from '../stores/audit-store.ts'
import type { BackendClient } from '../stores/backend-client.ts'
import type { Change, PublishTouched } from '../stores/change.ts'
import type { MeteringClient } from '../stores/metering-client.ts'
import type { PlatformKeyRow } from '../stores/platform-key-store.ts'
import type { SessionRow } from '../stores/session-store.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import type { DashboardFiles } from './dashboard-files.ts'

/** What the handlers work with. */
export type AppServices = {
  pool: PostgresPool
  publish: PublishTouched
  reconciler: Reconciler
  sealer: Sealer
  catalogue: PlanCatalogue
  metering: MeteringClient
  /** An id made ahead for a tenant of this isolation, with its place, where there is one. */
  takeSpare: (change: Change, isolation: Isolation) => Promise<{ tenantId: string; server: string } | undefined>
  /** The degrees of isolation that this platform can make; a plan may offer more. */
  isolations: readonly Isolation[]
  /** Wakes a paused tenant; resolves with its status, `undefined` for an unknown one. */
  wake: (tenantId: string) => Promise<TenantStatus | undefined>
  backends: BackendClient
  /** A tenant's data as SQL, made while it is read. */
  openExport: (tenant: TenantRow) => Promise<ReadableStream<Uint8Array>>
  /** The nodes of a cluster tenant; none for any other. */
  readNodes: (tenant: TenantRow) => Promise<NodeStatus[]>
  /** Shared backends, for access that a tenant has granted; empty where operators never get at data. */
  backendUrls: readonly string[]
  /** Signs and verifies who asks for which tenant. */
  contexts: RequestContextCodec
  /** Tells our own services' calls. */
  tokens: ServiceTokenCodec
  /** Wrong platform keys, by address. */
  failedKeys: FailedAttempts
  /** Whether URLs that callers give may lead to private addresses (development). */
  allowPrivateAddresses: boolean
  /** The built dashboard; without it control serves the API alone. */
  dashboard: DashboardFiles | undefined
  /** What tenants' URLs are built from. */
  domain: string
  clock: Clock
}

/** A `POST` whose answer is kept for its `Idempotency-Key`. */
export type IdempotencyTicket = { caller: string; key: string }

export type AppVariables = ServiceVariables & {
  principal: PlatformKeyRow
  /** Set where a browser's cookie opened the door instead of a key. */
  session?: SessionRow
  idempotency?: IdempotencyTicket
}
export type AppEnv = { Variables: AppVariables }

/** Who makes the change, for the audit log. Control is reached through the gateway, which sets the forwarded address. */
export function actorOf(c: Context<AppEnv>): Actor {
  return {
    actor: `platform-key:${c.var.principal.key_id}`,
    address: addressOf(c.req.header('x-forwarded-for')),
    requestId: c.var.requestId,
  }
}

/** The caller's address: the last one in the list is what the gateway itself saw. */
export function addressOf(forwardedFor: string | undefined): string | null {
  const last = forwardedFor?.split(',').at(-1)?.trim()
  return last === undefined || last === '' ? null : last.slice(0, 64)
}
