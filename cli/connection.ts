import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { makePlatformClient, type PlatformClient, readRetryAfter } from '../client/platform-client.ts'
import { CliFault, EXIT } from './fault.ts'
import type { Target } from './target.ts'

/** How often a request is repeated, and for how long in all: what asks for more patience is left to the caller. */
const MAX_REPETITIONS = 5
const MAX_WAIT_SECONDS = 60

/**
 * The platform API at `target`. Every POST carries one `Idempotency-Key` through all its repetitions. A 429 or 503, and an
 * answer that was lost on its way, are asked for again: after `Retry-After`, else after 1, 2, 4 ... seconds.
 */
export function connect(
  target: Target,
  options: { idempotencyKey?: string | undefined; signal: AbortSignal; note: (text: string) => void },
): PlatformClient {
  const { signal, note } = options
  const init: RequestInit = { redirect: 'manual', signal }
  // Node's fetch takes one; its types know only the undici that Node carries.
  const dispatcher = loopbackAgent(new URL(target.url).hostname)
  if (dispatcher !== undefined) Object.assign(init, { dispatcher })

  const send = async (request: Request): Promise<Response> => {
    if (request.method === 'POST' && !request.headers.has('idempotency-key'))
      request.headers.set('Idempotency-Key', options.idempotencyKey ?? randomUUID())
    let waitedSeconds = 0
    for (let repetition = 0; ; repetition++) {
      const response = await fetch(request.clone(), init).catch((fault: unknown) => {
        if (signal.aborted || repetition >= 2 || !wasCutOff(fault)) throw fault
        return undefined
      })
      if (response !== undefined && !isRepeatable(response)) return refuseRedirect(response)
      const seconds = (response && readRetryAfter(response.headers)) ?? 2 ** repetition
      waitedSeconds += seconds
      if (response !== undefined && (repetition >= MAX_REPETITIONS || waitedSeconds > MAX_WAIT_SECONDS)) return response
      note(`The platform ${response === undefined ? 'cut off' : `answered ${response.status}`}; again in ${seconds} s.`)
      await response?.body?.cancel()
      await sleep(seconds * 1_000, undefined, { signal })
    }
  }
  const authorization = target.key === undefined ? {} : { Authorization: `Bearer ${target.key}` }
  return makePlatformClient({
    baseUrl: target.url,
    headers: { 'User-Agent': 'aerodb-cli', ...authorization },
    fetch: send,
  })
}

/** 429 and 503; also a POST of ours that is still under way (409 with `Retry-After`). */
function isRepeatable({ status, headers }: Response): boolean {
  return status === 429 || status === 503 || (status === 409 && headers.has('retry-after'))
}

/** A redirect would turn a POST into a GET: the address is to be set right instead. */
function refuseRedirect(response: Response): Response {
  const location = response.headers.get('location')
  if (response.status < 300 || response.status > 399 || response.status === 304) return response
  throw new CliFault(
    EXIT.usage,
    'redirected',
    `The address leads elsewhere${location === null ? '' : `: ${location}`}.`,
    'Use the address that it leads to.',
  )
}

/** The connection was there and broke; a host that is not there will not be there in a second either. */
function wasCutOff(fault: unknown): boolean {
  const cause: unknown = fault instanceof Error ? fault.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code)
}

/** `*.localhost` is this machine (RFC 6761, 6.3), also where the resolver does not know. */
function loopbackAgent(host: string): Agent | undefined {
  if (!host.endsWith('.localhost')) return undefined
  return new Agent({
    connect: {
      lookup: (_host, { all }, done) => {
        if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
        else done(null, '127.0.0.1', 4)
      },
    },
  })
}
