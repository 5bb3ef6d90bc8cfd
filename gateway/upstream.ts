import type { Readable } from 'node:stream'

/** What an upstream is asked. */
export type UpstreamRequest = {
  method: string
  /** Origin form. */
  target: string
  /** Flat name, value list; no hop-by-hop fields, no `Host`, no framing but `content-length`. */
  headers: string[]
  /** The request's body as it comes in; `null` when it has none. */
  body: Readable | null
}

/** Who receives the answer, in this order: heads of 1xx, one head, data, then exactly one of end and error. */
export type UpstreamHandler = {
  onInformation?(status: number, headers: readonly string[]): void
  /** `headers` is a flat name, value list as the upstream sent it. */
  onHead(status: number, headers: readonly string[]): void
  onData(chunk: Buffer): void
  /** Bytes of the request body that went out. */
  onBodySent?(bytes: number): void
  onEnd(trailers: readonly string[]): void
  onError(fault: UpstreamFault): void
}

/** One request under way. */
export type UpstreamCall = {
  /** Gives the request up: nothing is called any more. */
  abort(): void
  /** No more `onData` until `resume`. */
  pause(): void
  resume(): void
}

/** One address of a backend, over one transport. Every implementation passes `upstream-conformance.ts`. */
export type Upstream = {
  readonly origin: string
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall
  /** Ends idle connections; requests under way end first. */
  close(): Promise<void>
}

/** Why a request got no whole answer. */
export type UpstreamFaultKind =
  /** No connection: the upstream never got a byte. */
  | 'connect'
  /** It did not answer in time. */
  | 'timeout'
  /** It broke off, or its answer is not HTTP. */
  | 'broken'
  /** The request's own body broke off. */
  | 'client'

export class UpstreamFault extends Error {
  readonly kind: UpstreamFaultKind

  constructor(kind: UpstreamFaultKind, cause: unknown) {
    super(`The upstream failed: ${kind}`, { cause })
    this.name = 'UpstreamFault'
    this.kind = kind
  }
}
