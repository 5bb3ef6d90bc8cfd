import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientOrigin } from './client-address.ts'
import type { HostTarget } from './host.ts'
import type { Principal } from './principal.ts'
import type { TenantEntry } from './tenant-entry.ts'

/** One request and its answer on their way through the pipeline: each step reads what the earlier ones found. */
export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  readonly method: string
  /** The target in origin form, exactly as the client sent it: what the upstream gets. */
  readonly target: string
  /** The target without its query. */
  readonly path: string
  /** The one `Host`, in lower case, without port and trailing dot. */
  readonly host: string
  /** Where the host leads. */
  readonly hostTarget: HostTarget
  /** `Host` as the client sent it. */
  readonly hostHeader: string
  /** Who asks, through trusted proxies. */
  readonly client: ClientOrigin
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean
  /** Monotonic, for durations. */
  readonly startedMs: number
  tenant: TenantEntry | undefined
  principal: Principal | undefined
  /** Flat name, value list of what the gateway adds to the response: id, CORS, rate limit. */
  readonly responseHeaders: string[]
  /** True once the limits let it pass: from here on it is recorded and billed. */
  admitted: boolean
  /** True for a WebSocket handshake. */
  readonly isUpgrade: boolean
}

/** A step of the pipeline. It answers synchronously when it can; a promise makes the pipeline wait. It refuses by throwing a `Problem`. */
export type Step = (exchange: Exchange) => Promise<void> | undefined
