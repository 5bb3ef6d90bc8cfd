/**
 * Messages of the `pgoutput` plugin, protocol version 1 (PostgreSQL 18, section 54.9 "Logical Replication Message Formats").
 * Positions are LSNs as unsigned 64-bit numbers; times are milliseconds since the Unix epoch.
 */
export type PgOutputMessage =
  | { kind: 'begin'; finalLsn: bigint; committedAtMs: number; xid: number }
  | { kind: 'commit'; commitLsn: bigint; endLsn: bigint; committedAtMs: number }
  | { kind: 'relation'; relation: PgRelation }
  | { kind: 'type'; oid: number; name: string }
  | { kind: 'insert'; relationOid: number; row: PgTuple }
  | { kind: 'update'; relationOid: number; row: PgTuple; old: PgTuple | null; oldIsFull: boolean }
  | { kind: 'delete'; relationOid: number; old: PgTuple; oldIsFull: boolean }
  /** Truncations, origins, logical messages: nothing that a subscriber is told of. */
  | { kind: 'other' }

export type PgColumn = { name: string; typeOid: number }
export type PgRelation = { oid: number; schema: string; table: string; columns: readonly PgColumn[] }

/** A value in Postgres's text form; `null`; or `false` for a large value that did not change and so was not sent. */
export type PgValue = string | null | false
export type PgTuple = readonly PgValue[]

/** What came is not pgoutput, version 1: going on would mean guessing. */
export class PgOutputError extends Error {
  constructor(reason: string) {
    super(`Not a pgoutput message: ${reason}`)
    this.name = 'PgOutputError'
  }
}

/** Postgres counts microseconds from 2000-01-01 UTC. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1)

/**
 * Reads one message.
 * @throws PgOutputError when it ends too early, goes on too long or holds what the format does not know.
 */
export function parsePgOutput(bytes: Buffer): PgOutputMessage {
  const reader = new Reader(bytes)
  const message = readMessage(reader)
  if (message.kind !== 'other') reader.expectEnd()
  return message
}

function readMessage(reader: Reader): PgOutputMessage {
  const tag = reader.char()
  switch (tag) {
    case 'B':
      return { kind: 'begin', finalLsn: reader.uint64(), committedAtMs: reader.time(), xid: reader.uint32() }
    case 'C':
      reader.uint8()
      return { kind: 'commit', commitLsn: reader.uint64(), endLsn: reader.uint64(), committedAtMs: reader.time() }
    case 'R':
      return { kind: 'relation', relation: readRelation(reader) }
    case 'Y': {
      const oid = reader.uint32()
      reader.text()
      return { kind: 'type', oid, name: reader.text() }
    }
    case 'I': {
      const relationOid = reader.uint32()
      reader.expect('N')
      return { kind: 'insert', relationOid, row: readTuple(reader) }
    }
    case 'U':
      return readUpdate(reader)
    case 'D': {
      const relationOid = reader.uint32()
      const which = reader.char()
      if (which !== 'K' && which !== 'O') throw new PgOutputError(`a delete with ${which}`)
      return { kind: 'delete', relationOid, old: readTuple(reader), oldIsFull: which === 'O' }
    }
    case 'T':
    case 'O':
    case 'M':
      return { kind: 'other' }
    default:
      throw new PgOutputError(`the tag ${JSON.stringify(tag)}`)
  }
}

function readRelation(reader: Reader): PgRelation {
  const oid = reader.uint32()
  const schema = reader.text()
  const table = reader.text()
  reader.uint8()
  const columns: PgColumn[] = []
  for (let left = reader.uint16(); left > 0; left--) {
    reader.uint8()
    const name = reader.text()
    const typeOid = reader.uint32()
    reader.uint32()
    columns.push({ name, typeOid })
  }
  // The namespace of pg_catalog is left out.
  return { oid, schema: schema === '' ? 'pg_catalog' : schema, table, columns }
}

function readUpdate(reader: Reader): PgOutputMessage {
  const relationOid = reader.uint32()
  let which = reader.char()
  let old: PgTuple | null = null
  const oldIsFull = which === 'O'
  if (which === 'K' || which === 'O') {
    old = readTuple(reader)
    which = reader.char()
  }
  if (which !== 'N') throw new PgOutputError(`an update with ${which}`)
  return { kind: 'update', relationOid, row: readTuple(reader), old, oldIsFull }
}

function readTuple(reader: Reader): PgTuple {
  const values: PgValue[] = []
  for (let left = reader.uint16(); left > 0; left--) {
    const kind = reader.char()
    if (kind === 'n') values.push(null)
    else if (kind === 'u') values.push(false)
    else if (kind === 't') values.push(reader.counted())
    else throw new PgOutputError(`a value of kind ${JSON.stringify(kind)}`)
  }
  return values
}

class Reader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8))
  }

  time(): number {
    return POSTGRES_EPOCH_MS + Number(this.#bytes.readBigInt64BE(this.#take(8)) / 1_000n)
  }

  char(): string {
    return String.fromCharCode(this.uint8())
  }

  expect(tag: string): void {
    const found = this.char()
    if (found !== tag) throw new PgOutputError(`${JSON.stringify(found)} where ${tag} belongs`)
  }

  /** A text that ends with a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#offset)
    if (end < 0) throw new PgOutputError('a text without an end')
    const text = this.#bytes.toString('utf8', this.#offset, end)
    this.#offset = end + 1
    return text
  }

  /** A text behind its length. */
  counted(): string {
    const length = this.uint32()
    const start = this.#take(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  expectEnd(): void {
    if (this.#offset !== this.#bytes.length) throw new PgOutputError('it goes on after its end')
  }

  #take(length: number): number {
    const start = this.#offset
    if (start + length > this.#bytes.length) throw new PgOutputError('it ends too early')
    this.#offset = start + length
    return start
  }
}
