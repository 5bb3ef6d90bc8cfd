import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EdgeWorld } from './testing/edge-world.ts'
import { makeTenant } from './testing/snapshots.ts'
import { closing, converse, EchoBackend, frame } from './testing/websocket-frames.ts'

/*
 * The gateway passes a WebSocket's bytes as they are: whatever a client sends, right or wrong, it gets back the very bytes
 * that it would get without a gateway. The cases follow the catalogue of the Autobahn test suite, which is Python 2 and runs
 * in `autobahn.long.test.ts` where there is one; these run everywhere.
 */

const tenant = makeTenant('frames')
const backend = new EchoBackend()
let world: EdgeWorld
let direct: number

beforeAll(async () => {
  direct = await backend.start()
  world = await EdgeWorld.start(tenant, `http://127.0.0.1:${direct}`)
})
afterAll(async () => {
  await world.stop()
  await backend.stop()
})

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const KOSME = 'κόσμε'
const part = { isLast: false }
const bye = frame(CLOSE, closing(1000))
const mega = (n: number) => Buffer.alloc(n * 1024 * 1024, 'x')

/** The frames cut into pieces of `size` bytes: a proxy must not depend on where packets end. */
function chop(size: number, ...frames: Buffer[]): Buffer[] {
  const all = Buffer.concat(frames)
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.subarray(i * size, (i + 1) * size))
}

function fragments(size: number, message: Buffer): Buffer[] {
  const count = Math.ceil(message.length / size)
  return Array.from({ length: count }, (_, i) =>
    frame(i === 0 ? BINARY : 0, message.subarray(i * size, (i + 1) * size), { isLast: i === count - 1 }),
  )
}

const CASES: [string, Buffer[]][] = [
  // 1: framing
  ...[0, 125, 126, 127, 128, 65_535, 65_536].flatMap((size): [string, Buffer[]][] => [
    [`a text of ${size} bytes`, [frame(TEXT, '*'.repeat(size)), bye]],
    [`a binary message of ${size} bytes`, [frame(BINARY, Buffer.alloc(size, 0xfe)), bye]],
  ]),
  ['a text of 65 536 bytes in pieces of 997', [...chop(997, frame(TEXT, '*'.repeat(65_536)), bye)]],
  ['a text byte by byte', [...chop(1, frame(TEXT, 'one by one'), bye)]],
  // 2: pings and pongs
  ['a ping without a payload', [frame(PING), bye]],
  ['a ping with a text', [frame(PING, 'Hello, world!'), bye]],
  ['a ping with bytes', [frame(PING, Buffer.from([0, 0xff, 0xfe, 0xfd])), bye]],
  ['a ping of 125 bytes', [frame(PING, Buffer.alloc(125, 0xfe)), bye]],
  ['a ping of 126 bytes, which is too long', [frame(PING, Buffer.alloc(126, 0xfe))]],
  ['a pong that nobody asked for', [frame(PONG, 'unasked'), frame(PING, 'x'), bye]],
  ['ten pings in one packet', [Buffer.concat([...Array(10).keys()].map((i) => frame(PING, `${i}`))), bye]],
  // 3: reserved bits
  ...[1, 2, 3, 4, 5, 6, 7].map((reserved): [string, Buffer[]] => [
    `reserved bits ${reserved}`,
    [frame(TEXT, 'first'), frame(TEXT, 'second', { reserved }), frame(PING)],
  ]),
  // 4: opcodes
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer[]] => [
    `the reserved opcode ${opcode}`,
    [frame(TEXT, 'first'), frame(opcode, 'x'), frame(PING)],
  ]),
  // 5: fragmentation
  ['two fragments', [frame(TEXT, 'one', part), frame(0, 'two'), bye]],
  ['a ping between fragments', [frame(TEXT, 'one', part), frame(PING, 'now'), frame(0, 'two'), bye]],
  ['a fragmented ping', [frame(PING, 'one', part), frame(0, 'two')]],
  ['a continuation of nothing', [frame(0, 'orphan'), frame(TEXT, 'x')]],
  ['a text inside a fragmented one', [frame(TEXT, 'one', part), frame(TEXT, 'x'), frame(0, 'two')]],
  ['empty fragments', [frame(TEXT, '', part), frame(0, '', part), frame(0, ''), bye]],
  ['a hundred fragments', [...fragments(10, Buffer.alloc(1_000, 7)), bye]],
  // 6: UTF-8
  ['text beyond ASCII', [frame(TEXT, `Hello-µ@ßöäüàá-UTF-8!! ${KOSME} 😀`), bye]],
  [
    'text cut inside a character',
    [frame(TEXT, Buffer.from(KOSME).subarray(0, 3), part), frame(0, Buffer.from(KOSME).subarray(3)), bye],
  ],
  ...['ff', 'c0af', 'eda080', 'f4908080', 'f8888080 80', 'ce', 'fe', '80', 'e180'].map((bytes): [string, Buffer[]] => [
    `text that is no UTF-8: ${bytes}`,
    [frame(TEXT, Buffer.concat([Buffer.from(KOSME), Buffer.from(bytes.replace(' ', ''), 'hex')])), frame(PING)],
  ]),
  [
    'no UTF-8 in a fragment, byte by byte',
    chop(1, frame(TEXT, Buffer.from('cebae1bdb9', 'hex'), part), frame(0, Buffer.from('f4908080', 'hex'))),
  ],
  // 7: closing
  ['a close without a status', [frame(CLOSE)]],
  ['a close with half a status', [frame(CLOSE, Buffer.from([3]))]],
  ['a close with a reason', [frame(CLOSE, closing(1000, 'because'))]],
  ['a close with a reason of 123 bytes', [frame(CLOSE, closing(1000, 'x'.repeat(123)))]],
  ['a close with a reason of 124 bytes', [frame(CLOSE, closing(1000, 'x'.repeat(124)))]],
  ['a close whose reason is no UTF-8', [frame(CLOSE, closing(1000, Buffer.from([0xce, 0xff])))]],
  ['a message after the close', [frame(TEXT, 'before'), bye, frame(TEXT, 'after'), frame(PING)]],
  ['two closes', [bye, bye]],
  ['a close between fragments', [frame(TEXT, 'one', part), bye, frame(0, 'two')]],
  ...[
    0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1011, 1014, 1016, 2999, 3000, 4999, 5000, 65_535,
  ].map((code): [string, Buffer[]] => [`a close with ${code}`, [frame(CLOSE, closing(code))]]),
  // Masks, lengths that lie
  ['a frame that is not masked', [frame(TEXT, 'bare', { isMasked: false })]],
  ['a length past 2^53', [Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])]],
  ['bytes that are no frames', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
  // 9: sizes
  ['a message of 1 MB', [frame(BINARY, mega(1)), bye]],
  ['a message of 16 MB', [frame(BINARY, mega(16)), bye]],
  ['a message of 4 MB in fragments of 64 kB', [...fragments(65_536, mega(4)), bye]],
  ['a message of 1 MB in fragments of 64 bytes', [...fragments(64, mega(1)), bye]],
  ['a message of 4 MB in pieces of 9 973', [...chop(9_973, frame(BINARY, mega(4)), bye)]],
  // 10: many
  ['two thousand messages at once', [Buffer.concat(Array.from({ length: 2_000 }, (_, i) => frame(TEXT, `${i}`))), bye]],
]

describe('the client gets the bytes that it would get without a gateway', () => {
  test.each(CASES)('%s', async (_name, pieces) => {
    const [path, query] = ['/realtime/v1/websocket', `?apikey=${tenant.anonKey}`]
    const expected = await converse(direct, path, pieces, { host: 'frames.localhost', quietMs: 5_000 })
    // Nothing is to be compared where nothing happened.
    expect(expected.bytes > 0 || expected.isEnded).toBe(true)
    const through = await converse(world.gateway.port, path + query, pieces, {
      host: 'frames.localhost',
      quietMs: 5_000,
      expected,
    })
    expect(through).toEqual(expected)
  })
})
