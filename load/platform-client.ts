import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import { z } from 'zod'
import type { Endpoints } from './platform.ts'

const tenantSchema = z.object({
  tenant_id: z.string(),
  name: z.string(),
  keys: z.object({ anon: z.string(), service: z.string() }),
})
export type CreatedTenant = z.output<typeof tenantSchema>

const usageSchema = z.object({ resources: z.object({ api_requests: z.object({ total: z.number() }) }) })

const AWAY_TIMEOUT_MS = 30_000
const RETRY_MS = 500
const REPEATS = 5

export type Call = { method?: Dispatcher.HttpMethod; key?: string; body?: unknown }
export type Answer = { status: number; json: unknown }

/** Calls of the platform API and of tenants, through the gateway, as any client makes them. */
export class PlatformClient {
  readonly #endpoints: Endpoints
  #repeated = 0
  readonly #agent = new Agent({ connections: 32, headersTimeout: 60_000 })

  constructor(endpoints: Endpoints) {
    this.#endpoints = endpoints
  }

  /** One request to `<host>.<domain>`. */
  async call(host: string, path: string, { method, key, body }: Call = {}): Promise<Answer> {
    const response = await this.#agent.request({
      origin: this.#endpoints.gateway,
      path,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        host: `${host}.${this.#endpoints.domain}`,
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.body.text()
    return { status: response.statusCode, json: parse(text) }
  }

  /** Calls that were answered with a server's fault and had to be repeated: none, on a healthy platform. */
  get repeatedCalls(): number {
    return this.#repeated
  }

  /** The same, for an answer that has to be good; a server's fault is counted and the call repeated. @throws with the answer otherwise. */
  async demand(host: string, path: string, call: Call = {}): Promise<unknown> {
    let { status, json } = await this.call(host, path, call)
    for (let tries = 0; status >= 500 && tries < REPEATS; tries++) {
      this.#repeated++
      await sleep(RETRY_MS)
      ;({ status, json } = await this.call(host, path, call))
    }
    if (status >= 300)
      throw new Error(`${call.method ?? ''} ${host}${path} answered ${status}: ${JSON.stringify(json)}`)
    return json
  }

  control(path: string, call: Call = {}): Promise<unknown> {
    return this.demand('control', path, { key: this.#endpoints.platform_key, ...call })
  }

  async createTenant(name: string, members: Readonly<Record<string, unknown>>): Promise<CreatedTenant> {
    return tenantSchema.parse(await this.control('/v1/tenants', { body: { name, ...members } }))
  }

  /** The admitted requests of this month, as they would be billed. */
  async countRequests(tenantId: string): Promise<number> {
    const path = `/v1/tenants/${tenantId}/usage`
    const deadline = performance.now() + AWAY_TIMEOUT_MS
    for (;;) {
      // A service that was killed a moment ago (chaos) is back within seconds; asking again changes nothing.
      const { status, json } = await this.call('control', path, { key: this.#endpoints.platform_key }).catch(
        (fault: Error): Answer => ({ status: 503, json: fault.message }),
      )
      if (status < 300) return usageSchema.parse(json).resources.api_requests.total
      if (status < 500 || performance.now() > deadline)
        throw new Error(`The usage of ${tenantId} answered ${status}: ${JSON.stringify(json)}`)
      await sleep(RETRY_MS)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
