import { z } from 'zod'
import type { Clock } from '../../runtime/clock.ts'
import { Problem } from '../../runtime/problem.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../../runtime/service-token.ts'

const TIMEOUT_MS = 5_000

const storagePageSchema = z.object({
  data: z.array(
    z.object({ tenant_id: z.string(), documents_bytes: z.number().nullable(), files_bytes: z.number().nullable() }),
  ),
  next_after: z.string().nullable(),
})
export type StoragePage = z.output<typeof storagePageSchema>

/** Asks metering's internal API; every fault of it becomes a 503 `metering_unavailable`. */
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

  /** A month's series for charts, as metering gives it. */
  async readSeries(tenantId: string, month: string, resource: string, step: string): Promise<Record<string, unknown>> {
    const query = new URLSearchParams({ resource, step })
    return z
      .record(z.string(), z.unknown())
      .parse(await this.#get(`/internal/v1/tenants/${tenantId}/usage/${month}/series?${query}`))
  }

  /** Tenants' storage as last sampled, in order of their ids. */
  async readStorage(after: string | null, limit: number): Promise<StoragePage> {
    const query = new URLSearchParams({ limit: String(limit), ...(after === null ? {} : { after }) })
    return storagePageSchema.parse(await this.#get(`/internal/v1/storage?${query}`))
  }

  async #get(path: string): Promise<unknown> {
    let response: Response
    try {
      response = await fetch(this.#url + path, {
        headers: { [SERVICE_TOKEN_HEADER]: this.#tokens.sign('control', this.#clock.nowMs()) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        redirect: 'error',
      })
    } catch (fault) {
      throw unavailable(fault)
    }
    const text = await response.text()
    if (response.status === 400) throw new Problem(400, 'validation_failed', { detail: readDetail(text) })
    if (!response.ok) throw unavailable(new Error(`metering answered ${response.status}: ${text.slice(0, 500)}`))
    return JSON.parse(text)
  }
}

function unavailable(cause: unknown): Problem {
  return new Problem(503, 'metering_unavailable', {
    detail: 'Usage cannot be read at the moment.',
    headers: { 'Retry-After': '5' },
    cause,
  })
}

function readDetail(text: string): string {
  const parsed = z.object({ detail: z.string() }).safeParse(JSON.parse(text))
  return parsed.success ? parsed.data.detail : 'The request was refused.'
}
