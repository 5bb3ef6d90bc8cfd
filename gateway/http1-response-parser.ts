/** Who is told what a connection's bytes mean. */
export type ResponseListener = {
  /** True when the answer now beginning belongs to a HEAD request: it has no body, whatever its head says. */
  isForHead(): boolean
  onInformation(status: number, headers: string[]): void
  onHead(status: number, headers: string[]): void
  onData(chunk: Buffer): void
  /** @param keepsAlive false when the connection ends with this answer. */
  onComplete(trailers: string[], keepsAlive: boolean): void
}

/** The bytes are not a response that can be passed on without doubt about where it ends. */
export class ResponseSyntaxError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ResponseSyntaxError'
  }
}

const MAX_HEAD_BYTES = 64 * 1024
const MAX_CHUNK_LINE_BYTES = 256
const HEAD_END = Buffer.from('\r\n\r\n')
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What no field value may hold (RFC 9110 5.5): controls but tab. Searched in the whole head, where CR and LF stand in pairs only. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is there to find them.
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|[^\r]\n/
const CHUNK_LINE = /^([0-9A-Fa-f]{1,13})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/

type State = 'head' | 'length' | 'until-close' | 'chunk-line' | 'chunk-data' | 'chunk-end' | 'trailers' | 'broken'

/**
 * A strict, incremental parser of HTTP/1.1 responses (RFC 9112), one after another on a connection. It refuses everything
 * over which two readers could disagree where a response ends: bare LF or CR, folded lines, both framings at once, lengths
 * that differ, transfer codings but `chunked`. Chunks are passed on as slices of what was read.
 */
export class Http1ResponseParser {
  readonly #listener: ResponseListener
  #state: State = 'head'
  /** An unfinished head or line, until the rest of it comes. */
  #rest: Buffer | undefined
  /** Bytes left of the body or of the chunk. */
  #left = 0
  #keepsAlive = true
  #trailers: string[] = []

  constructor(listener: ResponseListener) {
    this.#listener = listener
  }

  /** True between two responses, with no byte of the next. */
  get isBetween(): boolean {
    return this.#state === 'head' && this.#rest === undefined
  }

  /** @throws ResponseSyntaxError; nothing more may be fed after it. */
  feed(chunk: Buffer): void {
    let at = 0
    try {
      while (at < chunk.length) at = this.#step(chunk, at)
    } catch (fault) {
      this.#state = 'broken'
      throw fault
    }
  }

  /** The connection has ended. @returns false when that cut an answer off. */
  end(): boolean {
    if (this.#state === 'until-close') {
      this.#complete([])
      return true
    }
    return this.isBetween
  }

  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(chunk, at)
      case 'length':
      case 'chunk-data': {
        const end = Math.min(chunk.length, at + this.#left)
        this.#left -= end - at
        const data = at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end)
        const isDone = this.#left === 0
        if (isDone && this.#state === 'chunk-data') this.#state = 'chunk-end'
        const isBodyDone = isDone && this.#state === 'length'
        this.#listener.onData(data)
        if (isBodyDone) this.#complete([])
        return end
      }
      case 'until-close':
        this.#listener.onData(chunk.subarray(at))
        return chunk.length
      case 'chunk-line':
        return this.#readLine(chunk, at, (line) => this.#beginChunk(line))
      case 'chunk-end':
        return this.#readLine(chunk, at, (line) => {
          if (line !== '') throw new ResponseSyntaxError('A chunk is longer than its size')
          this.#state = 'chunk-line'
        })
      case 'trailers':
        return this.#readLine(chunk, at, (line) => {
          if (line === '') this.#complete(this.#trailers)
          else this.#addField(line, this.#trailers)
        })
      case 'broken':
        throw new ResponseSyntaxError('The connection is broken')
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    let bytes = chunk
    let from = at
    let kept = 0
    if (this.#rest !== undefined) {
      kept = this.#rest.length
      bytes = Buffer.concat([this.#rest, at === 0 ? chunk : chunk.subarray(at)])
      from = 0
      this.#rest = undefined
    }
    const end = bytes.indexOf(HEAD_END, from)
    if (end < 0) {
      if (bytes.length - from > MAX_HEAD_BYTES) throw new ResponseSyntaxError('The head is too large')
      this.#rest = from === 0 ? bytes : bytes.subarray(from)
      return chunk.length
    }
    if (end - from > MAX_HEAD_BYTES) throw new ResponseSyntaxError('The head is too large')
    this.#parseHead(bytes.toString('latin1', from, end))
    return kept === 0 ? end + 4 : at + end + 4 - kept
  }

  #parseHead(head: string): void {
    if (FORBIDDEN.test(head)) throw new ResponseSyntaxError('The head holds control characters')
    let lineEnd = head.indexOf('\r\n')
    const match = STATUS_LINE.exec(lineEnd < 0 ? head : head.slice(0, lineEnd))
    if (match === null) throw new ResponseSyntaxError('No status line')
    const status = Number(match[2])
    const headers: string[] = []
    while (lineEnd >= 0) {
      const start = lineEnd + 2
      lineEnd = head.indexOf('\r\n', start)
      this.#addField(lineEnd < 0 ? head.slice(start) : head.slice(start, lineEnd), headers)
    }
    if (status < 200) {
      if (status === 101) throw new ResponseSyntaxError('Nobody asked to switch protocols')
      this.#listener.onInformation(status, headers)
      return
    }
    this.#begin(status, headers, match[1] === '1')
  }

  #addField(line: string, into: string[]): void {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    if (colon < 1 || !isFieldName(name)) throw new ResponseSyntaxError('A line is not a field')
    into.push(name, line.slice(colon + 1).trim())
  }

  #begin(status: number, headers: string[], isHttp11: boolean): void {
    let length = -1
    let coding: string | undefined
    let connection = ''
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] ?? ''
      const size = name.length
      if (size !== 14 && size !== 17 && size !== 10) continue
      const value = headers[i + 1] ?? ''
      switch (name.toLowerCase()) {
        case 'content-length':
          if (!/^\d{1,15}$/.test(value)) throw new ResponseSyntaxError('The length is not a number')
          if (length >= 0 && length !== Number(value)) throw new ResponseSyntaxError('Two lengths that differ')
          length = Number(value)
          break
        case 'transfer-encoding':
          if (coding !== undefined) throw new ResponseSyntaxError('More than one transfer coding')
          coding = value.toLowerCase()
          break
        case 'connection':
          connection += `,${value.toLowerCase()}`
          break
      }
    }
    this.#keepsAlive = isHttp11 ? !hasToken(connection, 'close') : hasToken(connection, 'keep-alive')
    if (coding !== undefined && (coding !== 'chunked' || length >= 0 || !isHttp11))
      throw new ResponseSyntaxError('The framing is ambiguous')
    const hasNoBody = this.#listener.isForHead() || status === 204 || status === 304
    if (!hasNoBody && coding === undefined && length < 0) this.#keepsAlive = false
    this.#listener.onHead(status, headers)
    if (hasNoBody || length === 0) this.#complete([])
    else if (coding !== undefined) {
      this.#state = 'chunk-line'
      this.#trailers = []
    } else if (length > 0) {
      this.#state = 'length'
      this.#left = length
    } else this.#state = 'until-close'
  }

  #beginChunk(line: string): void {
    const match = CHUNK_LINE.exec(line)
    if (match === null) throw new ResponseSyntaxError('A chunk has no size')
    this.#left = Number.parseInt(match[1] ?? '', 16)
    this.#state = this.#left === 0 ? 'trailers' : 'chunk-data'
  }

  #readLine(chunk: Buffer, at: number, take: (line: string) => void): number {
    const limit = this.#state === 'trailers' ? MAX_HEAD_BYTES : MAX_CHUNK_LINE_BYTES
    const newline = chunk.indexOf(0x0a, at)
    const end = newline < 0 ? chunk.length : newline + 1
    const part = chunk.subarray(at, end)
    const bytes = this.#rest === undefined ? part : Buffer.concat([this.#rest, part])
    if (bytes.length > limit) throw new ResponseSyntaxError('A line is too long')
    if (newline < 0) {
      this.#rest = bytes
      return end
    }
    this.#rest = undefined
    const line = bytes.toString('latin1', 0, bytes.length - 1)
    if (!line.endsWith('\r') || FORBIDDEN.test(line.slice(0, -1)) || line.indexOf('\r') !== line.length - 1)
      throw new ResponseSyntaxError('A line does not end in CRLF')
    take(line.slice(0, -1))
    return end
  }

  #complete(trailers: string[]): void {
    this.#state = 'head'
    this.#listener.onComplete(trailers, this.#keepsAlive)
  }
}

const knownNames = new Set<string>()

/** A token (RFC 9110 5.6.2); names repeat, so those seen are remembered. */
function isFieldName(name: string): boolean {
  if (knownNames.has(name)) return true
  if (!FIELD_NAME.test(name)) return false
  if (knownNames.size < 500) knownNames.add(name)
  return true
}

function hasToken(list: string, token: string): boolean {
  return list !== '' && list.split(',').some((part) => part.trim() === token)
}
