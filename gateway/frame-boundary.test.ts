import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameBoundary } from './frame-boundary.ts'

function frame(length: number, isMasked: boolean): Buffer {
  const mask = isMasked ? 0x80 : 0
  const size = length < 126 ? Buffer.from([length | mask]) : Buffer.alloc(length < 65_536 ? 3 : 9)
  if (length >= 126 && length < 65_536) {
    size[0] = 126 | mask
    size.writeUInt16BE(length, 1)
  } else if (length >= 65_536) {
    size[0] = 127 | mask
    size.writeBigUInt64BE(BigInt(length), 1)
  }
  return Buffer.concat([Buffer.from([0x82]), size, Buffer.alloc(isMasked ? 4 : 0, 7), Buffer.alloc(length, 0xff)])
}

test('however the bytes are cut, the end of a frame is seen exactly where it is', () => {
  const length = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 65_535, 65_536))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(length, fc.boolean()), { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 8 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(([size, isMasked]) => frame(size, isMasked)))
        const ends = new Set<number>([0])
        let end = 0
        for (const [size, isMasked] of frames) {
          end += frame(size, isMasked).length
          ends.add(end)
        }
        const boundary = new FrameBoundary()
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const next = Math.min(bytes.length, at + (cuts[i % cuts.length] ?? 1))
          boundary.follow(bytes.subarray(at, next))
          at = next
          expect(boundary.isBetweenFrames).toBe(ends.has(at))
        }
      },
    ),
    { numRuns: 60 },
  )
})
