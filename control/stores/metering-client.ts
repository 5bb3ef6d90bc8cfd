import { z } from 'zod'
import type { Clock } from '../../runtime/clock.ts'
import { Problem } from '../../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../../runtime/service-token.ts'

const TIMEOUT_MS = 15_000

const storagePageSchema = z.object({
  data: z.array(
    z.object({ tenant_id: z.string(), documents_bytes: z.number().nullable(), files_bytes: z.number().nullable() }),
  ),
  next_after: z.string().nullable(),
})
export type StoragePage = z.output<typeof storagePageSchema>

const quotaUsePageSchema = z.object({
  data: z.array(z.object({ tenant_id: z.string(), api_requests: z.number(), peak_connections: z.number() })),
  next_after: z.string().nullable(),
})
export type QuotaUsePage = z.output<typeof quotaUsePageSchema>

/** Statuses by which metering refuses what a caller of ours asked; every other one is between it and us. */
const REFUSALS: readonly number[] = [400, 404, 406, 409, 422]
const refusalSchema = z.object({
  code: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
export type MeteringAnswer = { status: number; body: Record<string, unknown> }

/** Asks metering's internal API; what is its own fault becomes a 503 `metering_unavailable`. */
export class MeteringClient {
  readonly #url: string
  readonly #tokens: ServiceTokenCodec
  readonly #clock: Clock

  constructor(options: { url: string; tokens: ServiceTokenCodec; clock: Clock }) {
    this.#url = options.url.replace(/\/+$/, '')
    this.#tokens = options.tokens
    this.#clock = options.clock
  }

  /** The usage document of a month (`YYYY-MM`), without quotas. */
  async readUsage(tenantId: string, month: string): Promise<Record<string, unknown>> {
    return z.record(z.string(), z.unknown()).parse(await this.#get(`/internal/v1/tenants/${tenantId}/usage/${month}`))
  }

  /** Tenants' storage as last sampled, in order of their ids. */
  async readStorage(after: string | null, limit: number): Promise<StoragePage> {
    return storagePageSchema.parse(await this.#get(`/internal/v1/storage?${pageQuery(after, limit)}`))
  }

  /** What bounds by quota hold of tenants' month, in order of their ids. */
  async readQuotaUse(month: string, after: string, limit: number): Promise<QuotaUsePage> {
    const query = new URLSearchParams({ month, after, limit: String(limit) })
    return quotaUsePageSchema.parse(await this.#get(`/internal/v1/quota-use?${query}`))
  }

  /**
   * Sends a call on, with a JSON body where one is given.
   * @throws Problem as metering refused it (4xx), or 503 when it is not there.
   */
  async send(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body?: unknown,
    timeoutMs = TIMEOUT_MS,
  ): Promise<MeteringAnswer> {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body), headers }
    const response = await this.#fetch(path, init, timeoutMs)
    return { status: response.status, body: z.record(z.string(), z.unknown()).parse(await response.json()) }
  }

  /** Passes on an event of Stripe's, byte for byte. @throws Problem 400 when its signature does not fit, 404 without Stripe. */
  async forwardStripeEvent(body: Uint8Array<ArrayBuffer>, signature: string): Promise<MeteringAnswer> {
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
    const response = await this.#fetch('/internal/v1/stripe/webhook', { method: 'POST', body, headers })
    return { status: response.status, body: z.record(z.string(), z.unknown()).parse(await response.json()) }
  }

  /** Fetches a document in whichever form `accept` asks for, as an answer of ours; its body is passed on as it comes. */
  async fetchDocument(path: string, accept: string, requestId: string): Promise<Response> {
    const response = await this.#fetch(path, { headers: { accept } })
    const headers = new Headers({ 'x-request-id': requestId, vary: 'Accept' })
    for (const name of ['content-type', 'content-disposition']) {
      const value = response.headers.get(name)
      if (value !== null) headers.set(name, value)
    }
    return new Response(response.body, { status: response.status, headers })
  }

  async #get(path: string): Promise<unknown> {
    return (await this.#fetch(path)).json()
  }

  async #fetch(path: string, init: RequestInit = {}, timeoutMs = TIMEOUT_MS): Promise<Response> {
    const headers = new Headers(init.headers)
    headers.set(SERVICE_TOKEN_HEADER, this.#tokens.sign('control', this.#clock.nowMs()))
    let response: Response
    // Until the answer begins: a ledger of a million rows may take longer to read than that.
    const patience = new AbortController()
    const timer = setTimeout(() => patience.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    try {
      response = await fetch(this.#url + path, { ...init, headers, signal: patience.signal, redirect: 'error' })
    } catch (fault) {
      throw unavailable(fault)
    } finally {
      clearTimeout(timer)
    }
    if (response.ok) return response
    const text = await response.text()
    const refusal = REFUSALS.includes(response.status) ? readRefusal(text) : undefined
    if (refusal === undefined)
      throw unavailable(new Error(`metering answered ${response.status}: ${text.slice(0, 500)}`))
    const { code, detail, errors } = refusal
    throw new Problem(response.status, code, {
      ...(detail === undefined ? {} : { detail }),
      ...(errors === undefined ? {} : { errors }),
    })
  }
}

function pageQuery(after: string | null, limit: number): URLSearchParams {
  return new URLSearchParams({ limit: String(limit), ...(after === null ? {} : { after }) })
}

function unavailable(cause: unknown): Problem {
  return new Problem(503, 'metering_unavailable', {
    detail: 'Usage cannot be read at the moment.',
    headers: { 'Retry-After': '5' },
    cause,
  })
}

function readRefusal(text: string): z.output<typeof refusalSchema> | undefined {
  try {
    return refusalSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
