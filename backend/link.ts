import type { IncomingHttpHeaders } from 'node:http'
import type { LinkHandler, LinkRequest } from '../runtime/link/link-server.ts'
import { bodyIncomplete, bodyTooLarge } from './http-body.ts'
import type { RestResponse } from './rest/respond/rest-response.ts'

/** The head of a request, whichever way it came in. */
export type RequestHead = { method: string; url: string; headers: IncomingHttpHeaders }

export type LinkHandlerOptions = {
  isRest(url: string): boolean
  serve(head: RequestHead, readWholeBody: () => Promise<string>): Promise<RestResponse>
  /** What is not about rows. */
  fetch(request: Request): Response | Promise<Response>
  /** The answer for a body that could not be read. */
  onFault(fault: unknown): RestResponse
  maxBodyBytes: number
}

/**
 * Answers requests that come over a link: rows, collections, health. Bodies are held whole, as these need them; what is
 * streamed (files, sockets) comes over HTTP.
 */
export function makeLinkHandler(options: LinkHandlerOptions): LinkHandler {
  return (request) => {
    const body = new WholeBody(request, options.maxBodyBytes)
    const head: RequestHead = { method: request.method, url: request.path, headers: toHeaders(request.headers) }
    const answering = options.isRest(head.url)
      ? options.serve(head, () => body.text())
      : body.text().then((text) => callFetch(options.fetch, head, text))
    void answering.catch(options.onFault).then((answer) => respond(request, answer))
    return body
  }
}

function respond({ respond: sendHead, side }: LinkRequest, answer: RestResponse): void {
  const headers: string[] = []
  for (const name in answer.headers) headers.push(name, answer.headers[name] ?? '')
  sendHead(answer.status, headers)
  side.end(answer.body === '' ? undefined : Buffer.from(answer.body))
}

async function callFetch(fetch: LinkHandlerOptions['fetch'], head: RequestHead, text: string): Promise<RestResponse> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(head.headers)) if (typeof value === 'string') headers.append(name, value)
  const hasBody = head.method !== 'GET' && head.method !== 'HEAD'
  const url = new URL(head.url, 'http://backend')
  const response = await fetch(new Request(url, { method: head.method, headers, ...(hasBody ? { body: text } : {}) }))
  const body = await response.text()
  const length =
    response.status === 204 || head.method === 'HEAD' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return { status: response.status, headers: { ...Object.fromEntries(response.headers), ...length }, body }
}

/** The flat list as Node's parser would give it: names in lower case, a repeated field joined by commas. */
function toHeaders(list: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {}
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = (list[i] ?? '').toLowerCase()
    const known = headers[name]
    headers[name] = known === undefined ? list[i + 1] : `${known}, ${list[i + 1]}`
  }
  return headers
}

/** Collects a request's body; past the bound it takes no more of it and says so. */
class WholeBody {
  readonly #request: LinkRequest
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  readonly #whole = Promise.withResolvers<string>()
  #length = 0

  constructor(request: LinkRequest, maxBytes: number) {
    this.#request = request
    this.#maxBytes = maxBytes
    // Nobody may be waiting for it: a read has no body.
    this.#whole.promise.catch(() => {})
  }

  text(): Promise<string> {
    return this.#whole.promise
  }

  onData(bytes: Buffer): void {
    this.#length += bytes.length
    this.#request.side.consumed(bytes.length)
    if (this.#length <= this.#maxBytes) this.#chunks.push(bytes)
    else {
      this.#chunks.length = 0
      this.#whole.reject(bodyTooLarge(this.#maxBytes))
    }
  }

  onEnd(): void {
    this.#whole.resolve(Buffer.concat(this.#chunks).toString('utf8'))
  }

  onReset(fault: Error): void {
    this.#whole.reject(bodyIncomplete(fault))
  }

  onDrain(): void {}
}
