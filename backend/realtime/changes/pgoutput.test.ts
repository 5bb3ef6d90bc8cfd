import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PgOutputError, type PgOutputMessage, type PgTuple, type PgValue, parsePgOutput } from './pgoutput.ts'

const EPOCH_MS = Date.UTC(2000, 0, 1)

/** The server's side, written from the same specification. */
class Writer {
  readonly #parts: Buffer[] = []
  raw(text: string): this {
    this.#parts.push(Buffer.from(text))
    return this
  }
  int(value: number, bytes: 1 | 2 | 4): this {
    const buffer = Buffer.alloc(bytes)
    buffer.writeUIntBE(value, 0, bytes)
    this.#parts.push(buffer)
    return this
  }
  lsn(value: bigint): this {
    const buffer = Buffer.alloc(8)
    buffer.writeBigUInt64BE(value)
    this.#parts.push(buffer)
    return this
  }
  time(ms: number): this {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64BE(BigInt(ms - EPOCH_MS) * 1_000n)
    this.#parts.push(buffer)
    return this
  }
  text(value: string): this {
    return this.raw(value).int(0, 1)
  }
  tuple(values: PgTuple): this {
    this.int(values.length, 2)
    for (const value of values) {
      if (value === null) this.raw('n')
      else if (value === false) this.raw('u')
      else this.raw('t').int(Buffer.byteLength(value), 4).raw(value)
    }
    return this
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

function write(message: PgOutputMessage): Buffer {
  const w = new Writer()
  switch (message.kind) {
    case 'begin':
      return w.raw('B').lsn(message.finalLsn).time(message.committedAtMs).int(message.xid, 4).bytes
    case 'commit':
      return w.raw('C').int(0, 1).lsn(message.commitLsn).lsn(message.endLsn).time(message.committedAtMs).bytes
    case 'relation': {
      const { oid, schema, table, columns } = message.relation
      w.raw('R').int(oid, 4).text(schema).text(table).raw('d').int(columns.length, 2)
      for (const { name, typeOid } of columns) w.int(1, 1).text(name).int(typeOid, 4).int(0xffffffff, 4)
      return w.bytes
    }
    case 'type':
      return w.raw('Y').int(message.oid, 4).text('public').text(message.name).bytes
    case 'insert':
      return w.raw('I').int(message.relationOid, 4).raw('N').tuple(message.row).bytes
    case 'update':
      w.raw('U').int(message.relationOid, 4)
      if (message.old !== null) w.raw(message.oldIsFull ? 'O' : 'K').tuple(message.old)
      return w.raw('N').tuple(message.row).bytes
    case 'delete':
      return w
        .raw('D')
        .int(message.relationOid, 4)
        .raw(message.oldIsFull ? 'O' : 'K')
        .tuple(message.old).bytes
    case 'other':
      return w.raw('T').int(1, 4).bytes
  }
}

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const oid = fc.nat(0xffffffff)
const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const time = fc.integer({ min: EPOCH_MS, max: Date.UTC(2100, 0, 1) })
const value: fc.Arbitrary<PgValue> = fc.oneof(
  fc.constant(null),
  fc.constant(false as const),
  fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
)
const tuple = fc.array(value, { maxLength: 20 })
const old = fc.option(fc.tuple(tuple, fc.boolean()))
const messages: fc.Arbitrary<PgOutputMessage> = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), finalLsn: lsn, committedAtMs: time, xid: oid }),
  fc.record({ kind: fc.constant('commit' as const), commitLsn: lsn, endLsn: lsn, committedAtMs: time }),
  fc.record({
    kind: fc.constant('relation' as const),
    relation: fc.record({ oid, schema: name, table: name, columns: fc.array(fc.record({ name, typeOid: oid })) }),
  }),
  fc.record({ kind: fc.constant('type' as const), oid, name }),
  fc.record({ kind: fc.constant('insert' as const), relationOid: oid, row: tuple }),
  fc.tuple(oid, tuple, old).map(([relationOid, row, before]) => ({
    kind: 'update' as const,
    relationOid,
    row,
    old: before?.[0] ?? null,
    oldIsFull: before?.[1] ?? false,
  })),
  fc.record({ kind: fc.constant('delete' as const), relationOid: oid, old: tuple, oldIsFull: fc.boolean() }),
  fc.constant({ kind: 'other' as const }),
)

test('every message is read as it was written', () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect(parsePgOutput(write(message))).toEqual(message)
    }),
  )
})

test('a message that is cut off anywhere, or goes on, is refused', () => {
  fc.assert(
    fc.property(
      messages.filter((message) => message.kind !== 'other'),
      fc.nat(),
      (message, at) => {
        const bytes = write(message)
        expect(() => parsePgOutput(bytes.subarray(0, at % bytes.length))).toThrow(PgOutputError)
        expect(() => parsePgOutput(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(PgOutputError)
      },
    ),
  )
})

test('no bytes at all do anything but parse or be refused', () => {
  const tagged = fc
    .tuple(fc.constantFrom(...'BCRYIUDTOMX'), fc.uint8Array({ maxLength: 100 }))
    .map(([tag, rest]) => Buffer.concat([Buffer.from(tag), rest]))
  fc.assert(
    fc.property(
      fc.oneof(
        tagged,
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      (bytes) => {
        try {
          parsePgOutput(bytes)
        } catch (fault) {
          expect(fault).toBeInstanceOf(PgOutputError)
        }
      },
    ),
    { numRuns: 500 },
  )
})
