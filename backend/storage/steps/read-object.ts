import { Readable } from 'node:stream'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { ByteRange } from '../range.ts'
import type { BlobPart } from '../stores/stored-object.ts'

/**
 * The bytes of an object, or of a range of it. The first blob is opened before this resolves, so that a missing one is known
 * while the response can still say so; the others are opened as the reader comes to them.
 * @throws BlobMissingError
 */
export async function readObject(
  blobs: BlobStore,
  tenantId: string,
  parts: readonly BlobPart[],
  range: ByteRange | undefined,
): Promise<Readable> {
  const [first, ...rest] = cutParts(parts, range)
  if (first === undefined) return Readable.from([])
  const opened = await blobs.read({ tenantId, version: first.version }, first.range)
  if (rest.length === 0) return opened
  return Readable.from(concatenate(blobs, tenantId, opened, rest), { objectMode: false })
}

type Segment = { version: string; range?: ByteRange }

/** Which bytes of which blobs make up `range` of their concatenation. */
export function cutParts(parts: readonly BlobPart[], range: ByteRange | undefined): Segment[] {
  const segments: Segment[] = []
  let start = 0
  for (const part of parts) {
    const first = Math.max(0, (range?.first ?? 0) - start)
    const last = Math.min(part.n - 1, (range?.last ?? Number.POSITIVE_INFINITY) - start)
    if (first <= last)
      segments.push(
        first === 0 && last === part.n - 1 ? { version: part.v } : { version: part.v, range: { first, last } },
      )
    start += part.n
  }
  return segments
}

async function* concatenate(
  blobs: BlobStore,
  tenantId: string,
  opened: Readable,
  rest: readonly Segment[],
): AsyncGenerator<Buffer> {
  yield* opened
  for (const segment of rest) yield* await blobs.read({ tenantId, version: segment.version }, segment.range)
}
