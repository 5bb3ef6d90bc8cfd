import type { RequestContext } from '../../../tenancy/request-context.ts'
import type { Placement } from '../../../tenancy/snapshot.ts'
import type { Identity } from '../access/identity.ts'
import type { Vsn } from '../wire/message.ts'
import type { OutboundMessage } from '../wire/outbound.ts'

/** The tenant that a socket belongs to, from its signed context: nothing a client sends can change it. */
export type SocketTenant = { tenantId: string; name: string; placement: Placement | null; context: RequestContext }

/** A client's socket as its channels see it. */
export type Socket = {
  readonly tenant: SocketTenant
  readonly vsn: Vsn
  /** Who the handshake was made by: what a channel acts as that shows no token of its own. */
  readonly identity: Identity
  /** @param isMetered true for what the tenant is billed for: broadcasts, presences, changes. */
  send(message: OutboundMessage, isMetered: boolean): void
}
