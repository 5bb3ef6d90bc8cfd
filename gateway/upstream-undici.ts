import { type Dispatcher, errors, Pool } from 'undici'
import { Problem } from '../runtime/problem.ts'
import {
  type Upstream,
  type UpstreamCall,
  UpstreamFault,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

export type UndiciUpstreamOptions = {
  connections?: number
  connectTimeoutMs?: number
  /** Until the head of the answer. */
  headTimeoutMs?: number
  /** Between two pieces of the answer's body. */
  bodyIdleTimeoutMs?: number
}

/** Any HTTP/1.1 server, by undici's dispatcher: one request at a time on each connection, bodies streamed both ways. */
export class UndiciUpstream implements Upstream {
  readonly origin: string
  readonly #pool: Pool

  constructor(origin: string, options: UndiciUpstreamOptions = {}) {
    this.origin = origin
    this.#pool = new Pool(origin, {
      connections: options.connections ?? 256,
      pipelining: 1,
      connectTimeout: options.connectTimeoutMs ?? 3_000,
      headersTimeout: options.headTimeoutMs ?? 60_000,
      bodyTimeout: options.bodyIdleTimeoutMs ?? 300_000,
      keepAliveTimeout: 30_000,
      allowH2: false,
    })
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new UndiciCall(handler)
    this.#pool.dispatch(
      {
        path: request.target,
        method: request.method as Dispatcher.HttpMethod,
        headers: request.headers,
        body: request.body,
        // One request per connection at a time: nothing behind it could be blocked.
        blocking: false,
      },
      call,
    )
    return call
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

/** Undici's handler and our call in one object: one allocation a request. */
class UndiciCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler
  #controller: Dispatcher.DispatchController | undefined
  #aborted = false

  constructor(handler: UpstreamHandler) {
    this.#handler = handler
  }

  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#controller?.abort(new Error('The client is gone'))
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted) controller.abort(new Error('The client is gone'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#aborted) return
    const headers = asText(controller.rawHeaders)
    if (status < 200) this.#handler.onInformation?.(status, headers)
    else this.#handler.onHead(status, headers)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#aborted) this.#handler.onData(chunk)
  }

  onBodySent(chunk: Buffer): void {
    this.#handler.onBodySent?.(chunk.length)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (!this.#aborted) this.#handler.onEnd(asText(controller.rawTrailers))
  }

  onResponseError(_controller: Dispatcher.DispatchController, fault: Error): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#handler.onError(classify(fault))
  }
}

function asText(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  const list: string[] = new Array(raw.length)
  for (let i = 0; i < raw.length; i++) {
    const part = raw[i]
    list[i] = typeof part === 'string' ? part : (part?.toString('latin1') ?? '')
  }
  return list
}

const CONNECT_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

function classify(fault: Error): UpstreamFault {
  const code = 'code' in fault ? String(fault.code) : ''
  if (fault instanceof errors.ConnectTimeoutError || CONNECT_CODES.has(code)) return new UpstreamFault('connect', fault)
  if (fault instanceof errors.HeadersTimeoutError || fault instanceof errors.BodyTimeoutError)
    return new UpstreamFault('timeout', fault)
  if (fault instanceof Problem) return new UpstreamFault('client', fault)
  if (fault instanceof errors.RequestContentLengthMismatchError) return new UpstreamFault('client', fault)
  return new UpstreamFault('broken', fault)
}
