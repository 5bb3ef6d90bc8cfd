import { createHash } from 'node:crypto'
import { type Readable, Transform, type TransformCallback } from 'node:stream'
import type { Problem } from '../../../runtime/problem.ts'
import { storageProblems } from '../errors.ts'

export type BodyLimit = { bytes: number; problem: () => Problem }

/**
 * Passes a body on while it counts and hashes it, and ends it with a problem as soon as it passes a limit or stands still for
 * longer than `idleMs`.
 */
export class MeasuredBody extends Transform {
  readonly #hash = createHash('md5')
  readonly #limits: readonly BodyLimit[]
  readonly #idle: NodeJS.Timeout
  #bytes = 0

  constructor(limits: readonly BodyLimit[], idleMs: number) {
    super({ highWaterMark: 256 * 1024 })
    this.#limits = limits
    this.#idle = setTimeout(() => this.destroy(storageProblems.bodyStalled()), idleMs)
    // It may fail before a store has taken hold of it; whoever does then still gets the fault.
    this.on('error', () => {})
  }

  get bytes(): number {
    return this.#bytes
  }

  /** MD5 of what has passed, in hexadecimal: an ETag as S3 makes it, not a protection. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#idle.refresh()
    this.#bytes += chunk.length
    for (const limit of this.#limits) {
      if (this.#bytes > limit.bytes) {
        done(limit.problem())
        return
      }
    }
    this.#hash.update(chunk)
    done(null, chunk)
  }

  override _destroy(fault: Error | null, done: (fault?: Error | null) => void): void {
    clearTimeout(this.#idle)
    done(fault)
  }
}

/**
 * Lets `source` flow into `body`. Unlike a pipeline it leaves `source` alone when `body` fails: the source is a request, and
 * destroying it would take away the connection on which the refusal has to be sent.
 */
export function connectBody(source: Readable, body: MeasuredBody): MeasuredBody {
  const gone = (fault?: Error) => {
    if (!source.readableEnded && !body.destroyed) body.destroy(storageProblems.clientGone(fault))
  }
  source.once('error', gone)
  source.once('close', gone)
  body.once('close', () => {
    source.off('error', gone)
    source.off('close', gone)
    // A late error of the source (a reset connection) has nobody else who listens.
    source.on('error', () => {})
    source.unpipe(body)
  })
  source.pipe(body)
  return body
}
