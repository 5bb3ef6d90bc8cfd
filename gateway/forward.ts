import type { Clock } from '../runtime/clock.ts'
import { Problem } from '../runtime/problem.ts'
import { CONTEXT_HEADER, type RequestContextCodec } from '../tenancy/request-context.ts'
import type { Exchange } from './exchange.ts'
import { addForwardingFields, fieldsForUpstream } from './forward-headers.ts'
import type { Principal } from './principal.ts'
import { type RelayOptions, relay } from './relay.ts'
import { bodyTooLarge, RequestBody } from './request-body.ts'
import { hasBody } from './respond.ts'
import type { TenantEntry } from './tenant-entry.ts'
import type { Upstream } from './upstream.ts'
import { FailoverUpstream } from './upstream-failover.ts'
import { basePathOf, type Upstreams } from './upstreams.ts'

export type ForwardOptions = RelayOptions & {
  upstreams: Upstreams
  control: Upstream
  codec: RequestContextCodec
  clock: Clock
  maxBodyBytes: number
}

/** Step 6: to the backend that serves the tenant, with the signed context as the one thing that it believes. */
export function makeForward(options: ForwardOptions) {
  return function forward(exchange: Exchange): undefined {
    const { tenant, principal } = exchange
    if (tenant === undefined || principal === undefined) throw new Error('forward comes after authenticate')
    const { backend } = tenant.snapshot
    const upstream = options.upstreams.of(backend)
    if (upstream === undefined)
      throw new Problem(503, 'tenant_provisioning', {
        detail: 'The tenant has no backend yet.',
        headers: { 'Retry-After': '1' },
      })
    // A registered backend may verify the user's JWT itself. Our own believe the context only, and never see a credential.
    const withCredentials = backend.kind === 'registered' && principal.claims !== null
    const headers = fieldsForUpstream(exchange.request, withCredentials)
    addContext(headers, tenant, principal, options)
    const target = backend.kind === 'registered' ? basePathOf(backend) + exchange.target : exchange.target
    const { upstreams } = options
    const chosen = upstreams.hasOthers(backend)
      ? new FailoverUpstream(upstream, (tried) => upstreams.another(backend, tried))
      : upstream
    send(exchange, chosen, target, headers, options)
  }
}

/** `/platform/v1` at a tenant's host goes to control, which learns from the context who asks for which tenant. */
export function makeForwardToPlatform(options: ForwardOptions) {
  return function forwardToPlatform(exchange: Exchange): undefined {
    const { tenant, principal } = exchange
    if (tenant === undefined || principal === undefined) throw new Error('forward comes after authenticate')
    const headers = fieldsForUpstream(exchange.request, false)
    addContext(headers, tenant, principal, options)
    send(exchange, options.control, exchange.target, headers, options)
  }
}

/** The platform's own host: control verifies the platform key itself. */
export function makeForwardToControl(options: ForwardOptions) {
  return function forwardToControl(exchange: Exchange): undefined {
    send(exchange, options.control, exchange.target, fieldsForUpstream(exchange.request, true), options)
  }
}

/** The tenant's health is its backend's, asked without a key. */
export function makeForwardHealth(options: ForwardOptions) {
  const forward = makeForward(options)
  return function forwardHealth(exchange: Exchange): undefined {
    exchange.principal = exchange.tenant?.nobody
    return forward(exchange)
  }
}

function addContext(
  headers: string[],
  tenant: TenantEntry,
  principal: Principal,
  { codec, clock }: ForwardOptions,
): void {
  headers.push(CONTEXT_HEADER, principal.contextFor(tenant.snapshot, codec, clock.nowMs()))
}

function send(
  exchange: Exchange,
  upstream: Upstream,
  target: string,
  headers: string[],
  options: ForwardOptions,
): void {
  const { request } = exchange
  addForwardingFields(headers, exchange)
  const length = request.headers['content-length']
  if (length !== undefined) {
    if (Number(length) > options.maxBodyBytes) throw bodyTooLarge(options.maxBodyBytes)
    headers.push('content-length', length)
  }
  const body = hasBody(exchange) ? bodyOf(exchange, options) : null
  relay(exchange, upstream, { method: exchange.method, target, headers, body }, options)
}

function bodyOf({ request, response, expectsContinue }: Exchange, options: ForwardOptions): RequestBody {
  return new RequestBody(request, {
    maxBytes: options.maxBodyBytes,
    idleMs: options.bodyIdleMs,
    watch: options.watch,
    onWanted() {
      if (expectsContinue && !response.headersSent && !response.destroyed) response.writeContinue()
    },
  })
}
