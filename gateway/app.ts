import type { Logger } from '../runtime/log.ts'
import type { DirectoryReader } from '../tenancy/directory-reader.ts'
import type { AuthenticateOptions } from './authenticate.ts'
import { makeAuthenticate } from './authenticate.ts'
import { makeAdmitConnection } from './connections.ts'
import { CORS_FIELDS, isPreflight, preflightFields } from './cors.ts'
import type { Exchange, Step } from './exchange.ts'
import {
  type ForwardOptions,
  makeForward,
  makeForwardHealth,
  makeForwardToControl,
  makeForwardToPlatform,
} from './forward.ts'
import { makeHoldWrites } from './hold-writes.ts'
import { type LoadShedding, makeShedLoad } from './load-shedding.ts'
import type { GatewayMetrics } from './metrics.ts'
import { makeMonthlyQuota, type QuotaKeeper } from './monthly-quota.ts'
import { makePipeline } from './pipeline.ts'
import { makeRateLimit, type RateLimiter } from './rate-limit.ts'
import { makeResolveTenant } from './resolve-tenant.ts'
import { respond, respondProblem } from './respond.ts'
import { makeRouter, type Serve } from './routes.ts'
import { checkStorageQuota } from './storage-quota.ts'
import type { TenantEntry } from './tenant-entry.ts'
import { type ForwardUpgradeOptions, makeForwardUpgrade } from './upgrade.ts'
import { makeWakeTenant, refusePaused, type TenantWaker } from './wake-tenant.ts'

export type AppOptions = {
  directory: DirectoryReader<TenantEntry>
  authenticate: AuthenticateOptions
  shedding: LoadShedding
  rateLimiter: RateLimiter
  quotaKeeper: QuotaKeeper
  wake: TenantWaker
  forward: ForwardOptions & ForwardUpgradeOptions
  metrics: GatewayMetrics
  log: Logger
}

/** The way of a request: by host to control, or by route through the steps of the tenant's pipeline. */
export function makeApp(options: AppOptions): { serve: Serve; serveUpgrade: Serve } {
  const { directory, metrics, log } = options
  const refuse = (exchange: Exchange, fault: unknown): void => {
    const problem = respondProblem(exchange, fault)
    metrics.refused(problem.code)
    if (problem.status >= 500) {
      log.warn({ err: problem.cause ?? problem, code: problem.code, request_id: exchange.requestId }, 'request refused')
    }
  }
  const resolveTenant = makeResolveTenant(directory)
  const authenticate = makeAuthenticate(options.authenticate)
  const shedLoad = makeShedLoad(options.shedding)
  const wakeTenant = makeWakeTenant(options.wake)
  const holdWrites = makeHoldWrites({ directory, authenticate, clock: options.forward.clock })
  const limits: Step[] = [
    makeRateLimit(options.rateLimiter),
    checkStorageQuota,
    makeMonthlyQuota(options.quotaKeeper, options.forward.clock),
  ]

  const route = makeRouter({
    health: makePipeline([resolveTenant, refusePaused, shedLoad, makeForwardHealth(options.forward)], refuse),
    platform: makePipeline(
      [resolveTenant, authenticate, makeRateLimit(options.rateLimiter), makeForwardToPlatform(options.forward)],
      refuse,
    ),
    tenant: makePipeline(
      [resolveTenant, authenticate, shedLoad, wakeTenant, holdWrites, ...limits, makeForward(options.forward)],
      refuse,
    ),
  })
  const serveControl = makePipeline([makeForwardToControl(options.forward)], refuse)
  const servePreflight = makePipeline(
    [
      resolveTenant,
      (exchange) => {
        respond(exchange, 204, undefined, '', preflightFields(exchange))
        return undefined
      },
    ],
    refuse,
  )

  const serveUpgrade = makePipeline(
    [
      resolveTenant,
      authenticate,
      wakeTenant,
      makeRateLimit(options.rateLimiter),
      makeAdmitConnection(options.forward.connections),
      makeForwardUpgrade(options.forward),
    ],
    refuse,
  )

  const serve: Serve = (exchange) => {
    if (exchange.hostTarget.kind === 'control') return serveControl(exchange)
    exchange.responseHeaders.push(...CORS_FIELDS)
    if (isPreflight(exchange)) servePreflight(exchange)
    else route(exchange)
  }
  return { serve, serveUpgrade }
}
