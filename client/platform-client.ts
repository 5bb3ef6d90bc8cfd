import createClient, { type Client } from 'openapi-fetch'
import type { components, paths } from './platform-api.ts'

export type { components, paths } from './platform-api.ts'

/** The named documents of the platform API: `Document<'Tenant'>`. */
export type Document<Name extends keyof components['schemas']> = components['schemas'][Name]

/** What the platform answered when it refused or failed, as RFC 9457 has it; also what stood between it and us. */
export class PlatformProblem extends Error {
  readonly status: number
  readonly code: string
  readonly requestId: string | undefined
  readonly errors: readonly { path: string; message: string }[]
  /** When it makes sense to ask again, where the platform has said so. */
  readonly retryAfterSeconds: number | undefined

  constructor(problem: {
    status: number
    code: string
    detail: string
    requestId?: string | undefined
    errors?: readonly { path: string; message: string }[] | undefined
    retryAfterSeconds?: number | undefined
  }) {
    super(problem.detail)
    this.name = 'PlatformProblem'
    this.status = problem.status
    this.code = problem.code
    this.requestId = problem.requestId
    this.errors = problem.errors ?? []
    this.retryAfterSeconds = problem.retryAfterSeconds
  }
}

export type PlatformClient = Client<paths>

/**
 * A client of the platform API, typed by its OpenAPI document. Every answer that is no success is thrown as a
 * `PlatformProblem`; `data` is therefore there whenever a call returns (but for 204 and 304).
 */
export function makePlatformClient(options: {
  baseUrl: string
  headers?: Record<string, string>
  fetch?: (request: Request) => Promise<Response>
}): PlatformClient {
  const { baseUrl, headers = {}, fetch: send = (request) => fetch(request) } = options
  const client = createClient<paths>({
    baseUrl,
    headers,
    fetch: async (request) => {
      const response = await send(request).catch((fault: unknown) => {
        // What fetch throws for a network that failed (WHATWG Fetch, "network error"); the rest is not ours to explain.
        if (!(fault instanceof TypeError)) throw fault
        throw new PlatformProblem({ status: 0, code: 'unreachable', detail: 'The platform cannot be reached.' })
      })
      if (!response.ok && response.status !== 304) throw await readProblem(response)
      return response
    },
  })
  return client
}

/** The problem document of a response; of one that carries none, what its status says. */
export async function readProblem(response: Response): Promise<PlatformProblem> {
  const body: unknown = await response.json().catch(() => undefined)
  const known: Partial<Document<'Problem'>> = typeof body === 'object' && body !== null ? body : {}
  return new PlatformProblem({
    status: response.status,
    code: known.code ?? 'unexpected_answer',
    detail: known.detail ?? known.title ?? `The platform answered ${response.status}.`,
    requestId: known.request_id ?? response.headers.get('x-request-id') ?? undefined,
    errors: known.errors,
    retryAfterSeconds: readRetryAfter(response.headers),
  })
}

/** `Retry-After` (RFC 9110, 10.2.3) in seconds from now: a number of seconds or a date; `undefined` where it is neither. */
export function readRetryAfter(headers: Headers, nowMs: number = Date.now()): number | undefined {
  const text = headers.get('retry-after')?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const atMs = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / 1_000))
}

/** What a call has answered; the client has thrown everything that is no success. */
export function unwrap<Data>(answer: { data?: Data | undefined; response: Response }): Data {
  if (answer.data === undefined)
    throw new PlatformProblem({
      status: answer.response.status,
      code: 'empty_answer',
      detail: 'The platform answered with nothing.',
      requestId: answer.response.headers.get('x-request-id') ?? undefined,
    })
  return answer.data
}
