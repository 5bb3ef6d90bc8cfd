/**
 * The load generator of our own, a process by itself. Usage: node node-load.ts '<JSON of NodeLoadOptions>'; prints a
 * LoadResult as JSON. Closed loop without a rate; with one, an open loop: requests leave at random times (exponential gaps),
 * whether or not earlier ones were answered, and a request's clock starts when it is due, also while it waits for a
 * connection, so that a stalled server is not let off (coordinated omission).
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { LatencyHistogram } from './latency-histogram.ts'
import type { LoadResult } from './measurement.ts'
import { ResponseReader } from './response-reader.ts'

export type NodeLoadOptions = {
  port: number
  mixFile: string
  connections: number
  seconds: number
  /** Requests per second of the open loop; `null` for the closed loop. */
  rate: number | null
}

class Connection {
  readonly #socket: Socket
  #sentAtMs: number | undefined

  constructor(
    port: number,
    onAnswer: (connection: Connection, status: number, latencyMs: number) => void,
    onFault: () => void,
  ) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const reader = new ResponseReader((status) => {
      const sentAtMs = this.#sentAtMs ?? performance.now()
      this.#sentAtMs = undefined
      onAnswer(this, status, performance.now() - sentAtMs)
    })
    this.#socket.on('data', (chunk: Buffer) => reader.push(chunk))
    this.#socket.on('error', () => {})
    this.#socket.on('close', onFault)
  }

  whenOpen(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('connect', resolve))
  }

  send(request: Buffer, dueAtMs: number): void {
    this.#sentAtMs = dueAtMs
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }
}

async function run(options: NodeLoadOptions): Promise<LoadResult> {
  const requests = readFileSync(options.mixFile, 'latin1')
    .split('\0')
    .map((text) => Buffer.from(text, 'latin1'))
  const histogram = new LatencyHistogram()
  let errors = 0
  let next = 0
  const waiting: number[] = []
  const free: Connection[] = []
  const nextRequest = () => requests[next++ % requests.length] ?? Buffer.alloc(0)

  const onAnswer = (connection: Connection, status: number, latencyMs: number) => {
    histogram.record(latencyMs)
    if (status >= 400) errors++
    if (options.rate === null) return connection.send(nextRequest(), performance.now())
    const dueAtMs = waiting.shift()
    if (dueAtMs === undefined) free.push(connection)
    else connection.send(nextRequest(), dueAtMs)
  }
  const connections = Array.from(
    { length: options.connections },
    () => new Connection(options.port, onAnswer, () => errors++),
  )
  await Promise.all(connections.map((connection) => connection.whenOpen()))

  const startedAtMs = performance.now()
  let pacer: Worker | undefined
  if (options.rate === null) {
    for (const connection of connections) connection.send(nextRequest(), startedAtMs)
  } else {
    free.push(...connections)
    // A thread that sleeps to the microsecond wakes this one: timers of the event loop only know milliseconds, and would
    // send in bursts that measure their own queue.
    pacer = new Worker(new URL('./pacer.ts', import.meta.url), { workerData: { rate: options.rate } })
    pacer.on('message', (count: number) => {
      const dueAtMs = performance.now()
      for (let i = 0; i < count; i++) {
        const connection = free.pop()
        if (connection === undefined) waiting.push(dueAtMs)
        else connection.send(nextRequest(), dueAtMs)
      }
    })
  }
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1_000))
  const durationMs = performance.now() - startedAtMs
  const result: LoadResult = {
    requests: histogram.count,
    durationMs,
    errors,
    p50Ms: histogram.percentileMs(0.5),
    p99Ms: histogram.percentileMs(0.99),
    maxMs: histogram.maxMs,
  }
  for (const connection of connections) connection.close()
  await pacer?.terminate()
  return result
}

const result = await run(JSON.parse(process.argv[2] ?? '') as NodeLoadOptions)
process.stdout.write(`${JSON.stringify(result)}\n`)
