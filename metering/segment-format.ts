import { crc32 } from 'node:zlib'

/**
 * A segment is a sequence of frames. One frame is one write: 24 bytes of header (magic, payload length, record count, first
 * sequence as two words, CRC-32 over the header before it and the payload; all little-endian), then the records, one a line.
 */
export const FRAME_HEADER_BYTES = 24
const MAGIC = 0x31535541 // "AUS1"
/** A frame never grows past this; a larger length in a header is damage. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024

export type Frame = { firstSequence: number; count: number; payload: Buffer }

/** What stands at a place in a segment: a frame, the beginning of one (the end of a file that is being written), or damage. */
export type FrameAt = { state: 'frame'; frame: Frame; end: number } | { state: 'incomplete' } | { state: 'damaged' }

/** Writes the header in front of the payload that lies in `buffer` from `FRAME_HEADER_BYTES` on; returns the frame's length. */
export function sealFrame(buffer: Buffer, payloadBytes: number, firstSequence: number, count: number): number {
  const end = FRAME_HEADER_BYTES + payloadBytes
  buffer.writeUInt32LE(MAGIC, 0)
  buffer.writeUInt32LE(payloadBytes, 4)
  buffer.writeUInt32LE(count, 8)
  buffer.writeUInt32LE(Math.floor(firstSequence / 2 ** 32), 12)
  buffer.writeUInt32LE(firstSequence % 2 ** 32, 16)
  buffer.writeUInt32LE(frameChecksum(buffer, 0, end), 20)
  return end
}

/** Reads the frame at `offset`. Its payload is a view into `buffer`. */
export function readFrame(buffer: Buffer, offset: number): FrameAt {
  if (buffer.length - offset < FRAME_HEADER_BYTES) return { state: 'incomplete' }
  if (buffer.readUInt32LE(offset) !== MAGIC) return { state: 'damaged' }
  const payloadBytes = buffer.readUInt32LE(offset + 4)
  if (payloadBytes > MAX_FRAME_BYTES) return { state: 'damaged' }
  const end = offset + FRAME_HEADER_BYTES + payloadBytes
  if (end > buffer.length) return { state: 'incomplete' }
  if (buffer.readUInt32LE(offset + 20) !== frameChecksum(buffer, offset, end)) return { state: 'damaged' }
  const firstSequence = buffer.readUInt32LE(offset + 12) * 2 ** 32 + buffer.readUInt32LE(offset + 16)
  const count = buffer.readUInt32LE(offset + 8)
  return {
    state: 'frame',
    frame: { firstSequence, count, payload: buffer.subarray(offset + FRAME_HEADER_BYTES, end) },
    end,
  }
}

/** The place of the next intact frame after damage at `offset`, or `undefined`. */
export function findNextFrame(buffer: Buffer, offset: number): number | undefined {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(MAGIC)
  for (let at = buffer.indexOf(magic, offset + 1); at >= 0; at = buffer.indexOf(magic, at + 1)) {
    if (readFrame(buffer, at).state === 'frame') return at
  }
  return undefined
}

/** `0000000000000001.seg`: named by the first sequence it may hold, so that names sort as they were written. */
export function segmentName(firstSequence: number): string {
  return `${String(firstSequence).padStart(16, '0')}.seg`
}

/** The first sequence of a segment by its name, or `undefined` for any other file. */
export function parseSegmentName(name: string): number | undefined {
  return /^\d{16}\.seg$/.test(name) ? Number(name.slice(0, 16)) : undefined
}

function frameChecksum(buffer: Buffer, offset: number, end: number): number {
  const header = crc32(buffer.subarray(offset, offset + 20))
  return crc32(buffer.subarray(offset + FRAME_HEADER_BYTES, end), header)
}
