import { z } from 'zod'
import type { Clock } from '../../runtime/clock.ts'
import { SERVICE_TOKEN_HEADER, type ServiceTokenCodec } from '../../runtime/service-token.ts'

const TIMEOUT_MS = 60_000
const versionSchema = z.object({ version: z.number().int() })

/** Asks backends for what concerns all of them: any one that answers will do. */
export class BackendClient {
  readonly #urls: readonly string[]
  readonly #tokens: ServiceTokenCodec
  readonly #clock: Clock

  constructor(options: { urls: readonly string[]; tokens: ServiceTokenCodec; clock: Clock }) {
    this.#urls = options.urls
    this.#tokens = options.tokens
    this.#clock = options.clock
  }

  /** The version of the tables that backends make for tenants; `undefined` where no backend is configured or none answers. */
  async readTablesVersion(): Promise<number | undefined> {
    for (const url of this.#urls)
      try {
        return await this.#ask(url, 'GET', '')
      } catch {
        // The next one may answer.
      }
    return undefined
  }

  /** Brings a tenant's tables up to date. @returns their version. @throws when no backend did it. */
  async upgradeTables(tenantId: string, server: string): Promise<number> {
    let last: unknown = new Error('No backend is configured')
    for (const url of this.#urls)
      try {
        return await this.#ask(url, 'POST', `/${tenantId}`, { server })
      } catch (fault) {
        last = fault
      }
    throw last
  }

  async #ask(url: string, method: 'GET' | 'POST', path: string, body?: object): Promise<number> {
    const response = await fetch(new URL(`/internal/v1/objects${path}`, url), {
      method,
      headers: {
        [SERVICE_TOKEN_HEADER]: this.#tokens.sign('control', this.#clock.nowMs()),
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`A backend answered ${response.status}: ${text.slice(0, 200)}`)
    return versionSchema.parse(JSON.parse(text)).version
  }
}
