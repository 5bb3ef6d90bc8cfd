import type { z } from 'zod'
import { DnsFault } from './dns-driver.ts'

const TIMEOUT_MS = 15_000

export type ProviderRequest = {
  method: 'GET' | 'PATCH' | 'POST'
  url: string
  headers: Readonly<Record<string, string>>
  body?: unknown
}

/**
 * Asks a provider's HTTP API for JSON. Redirects are not followed: they would carry the key to another host.
 * @throws DnsFault `dns_unreachable` (no answer, or a 5xx), `dns_rate_limited` (429, with its Retry-After), `dns_refused`
 * (any other 4xx, with what `explain` finds in its body) or `dns_bad_answer`.
 */
export async function askProvider<Answer>(
  request: ProviderRequest,
  schema: z.ZodType<Answer>,
  explain: (body: unknown) => string,
): Promise<Answer> {
  const { method, url, headers, body } = request
  const { host } = new URL(url)
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method,
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    text = await response.text()
  } catch (cause) {
    throw new DnsFault('dns_unreachable', `${host} does not answer.`, { cause })
  }
  const answer = parseJson(text)
  if (response.ok) {
    const result = schema.safeParse(answer)
    if (result.success) return result.data
    throw new DnsFault('dns_bad_answer', `${host} answered something else than expected.`, { cause: result.error })
  }
  const reason = `${host} answered ${response.status}${answer === undefined ? '' : `: ${explain(answer)}`}`
  if (response.status === 429) throw new DnsFault('dns_rate_limited', reason, retryAfter(response))
  throw new DnsFault(response.status >= 500 ? 'dns_unreachable' : 'dns_refused', reason)
}

/** Retry-After in seconds (RFC 9110, section 10.2.3); a date or nothing means that we choose. */
function retryAfter(response: Response): { retryAfterMs?: number } {
  const text = response.headers.get('retry-after') ?? ''
  return /^\d{1,6}$/.test(text) ? { retryAfterMs: Number(text) * 1_000 } : {}
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
