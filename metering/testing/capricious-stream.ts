import { setTimeout as sleep } from 'node:timers/promises'
import type { ReceivedEntry, StreamEntry, UsageStream } from '../stream.ts'

/** A stream that does all that a stream may do wrong, in turns: repeats, forgets, delays, fails after the fact. */
export class CapriciousStream implements UsageStream {
  readonly partitions: number
  readonly #stream: UsageStream
  #turn = 0

  constructor(stream: UsageStream) {
    this.partitions = stream.partitions
    this.#stream = stream
  }

  async append(partition: number, entries: readonly StreamEntry[]): Promise<string[]> {
    switch (this.#turn++ % 5) {
      case 0:
        // Said twice, told once.
        await this.#stream.append(partition, entries)
        return this.#stream.append(partition, entries)
      case 1:
        // Said to be there, and lost.
        return entries.map((_, i) => `1-${i}`)
      case 2:
        await this.#stream.append(partition, entries)
        throw new Error('The answer was lost')
      case 3:
        await sleep(150)
        return this.#stream.append(partition, entries)
      default:
        return this.#stream.append(partition, entries)
    }
  }

  async read(partition: number, maxEntries: number): Promise<ReceivedEntry[]> {
    const entries = await this.#stream.read(partition, maxEntries)
    return this.#turn++ % 3 === 0 ? [...entries, ...entries] : entries
  }

  async acknowledge(partition: number, throughId: string): Promise<void> {
    if (this.#turn++ % 3 !== 0) await this.#stream.acknowledge(partition, throughId)
  }

  holds(partition: number, id: string): Promise<boolean> {
    return this.#stream.holds(partition, id)
  }

  length(partition: number): Promise<number> {
    return this.#stream.length(partition)
  }

  async publishMarks(marks: ReadonlyMap<string, number>): Promise<void> {
    if (this.#turn++ % 3 !== 0) await this.#stream.publishMarks(marks)
  }

  readMarks(producers: readonly string[]): Promise<Map<string, number>> {
    return this.#stream.readMarks(producers)
  }

  forgetMark(producer: string): Promise<void> {
    return this.#stream.forgetMark(producer)
  }
}
