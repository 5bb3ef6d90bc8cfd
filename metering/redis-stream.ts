import type { RedisClient } from '../runtime/redis.ts'
import { type ReceivedEntry, type StreamEntry, USAGE_PARTITIONS, type UsageStream } from './stream.ts'

const MARKS_KEY = 'aerodb:usage:marks'
const KINDS = ['records', 'hole', 'end'] as const

/** Adds entries (kind, producer, first, count, payload) while the stream is shorter than ARGV[1]; returns their ids. */
const APPEND_WHILE_ROOM = `
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local ids = {}
for i = 2, #ARGV, 5 do
  if room <= 0 then break end
  room = room - 1
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'k', ARGV[i], 'p', ARGV[i + 1], 'f', ARGV[i + 2], 'n', ARGV[i + 3], 'd', ARGV[i + 4])
end
return ids
`

/**
 * The stream on Redis Streams. Each partition is a key with its own hash tag, so they spread over the nodes of a cluster; no
 * command blocks and none touches two keys. A full Redis (`maxmemory`) rejects `append`, and spools keep what they have.
 */
export class RedisUsageStream implements UsageStream {
  readonly partitions: number
  readonly #redis: RedisClient
  readonly #maxEntries: number

  /** @param maxEntries per partition; an entry is about 256 kB at most. */
  constructor(redis: RedisClient, options: { partitions?: number; maxEntries?: number } = {}) {
    this.#redis = redis
    this.partitions = options.partitions ?? USAGE_PARTITIONS
    this.#maxEntries = options.maxEntries ?? 512
  }

  async append(partition: number, entries: readonly StreamEntry[]): Promise<string[]> {
    if (entries.length === 0) return []
    const fields = entries.flatMap((entry) => [
      entry.kind,
      entry.producer,
      entry.firstSequence,
      entry.count,
      entry.payload,
    ])
    const ids = await this.#redis.eval(APPEND_WHILE_ROOM, 1, this.#key(partition), this.#maxEntries, ...fields)
    return Array.isArray(ids) ? ids.map(String) : []
  }

  async read(partition: number, maxEntries: number): Promise<ReceivedEntry[]> {
    const rows = await this.#redis.xrangeBuffer(this.#key(partition), '-', '+', 'COUNT', maxEntries)
    return rows.map(([id, fields]) => ({ id: id.toString(), entry: parseFields(fields) }))
  }

  async acknowledge(partition: number, throughId: string): Promise<void> {
    const [time, place] = throughId.split('-')
    await this.#redis.xtrim(this.#key(partition), 'MINID', `${time}-${BigInt(place ?? 0) + 1n}`)
  }

  async holds(partition: number, id: string): Promise<boolean> {
    return (await this.#redis.xrange(this.#key(partition), id, id)).length > 0
  }

  length(partition: number): Promise<number> {
    return this.#redis.xlen(this.#key(partition))
  }

  /** When the oldest entry of any partition was put there, in milliseconds since the epoch by Redis' clock. */
  async findOldestMs(): Promise<number | undefined> {
    const keys = Array.from({ length: this.partitions }, (_, partition) => this.#key(partition))
    const oldest = await Promise.all(keys.map((key) => this.#redis.xrangeBuffer(key, '-', '+', 'COUNT', 1)))
    const times = oldest.flatMap(([row]) => (row === undefined ? [] : [Number(row[0].toString().split('-')[0])]))
    return times.length === 0 ? undefined : Math.min(...times)
  }

  async countWaiting(): Promise<number> {
    const lengths = await Promise.all(Array.from({ length: this.partitions }, (_, partition) => this.length(partition)))
    return lengths.reduce((sum, length) => sum + length, 0)
  }

  async publishMarks(marks: ReadonlyMap<string, number>): Promise<void> {
    if (marks.size > 0) await this.#redis.hset(MARKS_KEY, Object.fromEntries(marks))
  }

  async readMarks(producers: readonly string[]): Promise<Map<string, number>> {
    if (producers.length === 0) return new Map()
    const marks = await this.#redis.hmget(MARKS_KEY, ...producers)
    return new Map(
      producers.flatMap((producer, i) => {
        const mark = marks[i]
        return mark === null || mark === undefined ? [] : [[producer, Number(mark)] as const]
      }),
    )
  }

  async forgetMark(producer: string): Promise<void> {
    await this.#redis.hdel(MARKS_KEY, producer)
  }

  #key(partition: number): string {
    return `aerodb:usage:{${partition}}`
  }
}

function parseFields(fields: readonly Buffer[]): StreamEntry | undefined {
  const values = new Map<string, Buffer>()
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [fields[i], fields[i + 1]]
    if (name !== undefined && value !== undefined) values.set(name.toString(), value)
  }
  const kind = KINDS.find((known) => known === values.get('k')?.toString())
  const producer = values.get('p')?.toString()
  const firstSequence = Number(values.get('f')?.toString())
  const count = Number(values.get('n')?.toString())
  const payload = values.get('d')
  if (kind === undefined || producer === undefined || producer === '' || payload === undefined) return undefined
  if (!Number.isSafeInteger(firstSequence) || firstSequence < 1) return undefined
  if (!Number.isSafeInteger(count) || count < 1) return undefined
  return { kind, producer, firstSequence, count, payload }
}
