import { Worker } from 'node:worker_threads'
import { Problem } from '../runtime/problem.ts'
import type { InvoiceView } from './invoice-view.ts'

export type PdfOrder = { id: number; view: InvoiceView }
export type PdfAnswer = { id: number; pdf?: Uint8Array; fault?: string }

/** Orders that may wait at once; more are told to come again. */
const MAX_WAITING = 50
const IDLE_MS = 60_000

type Waiting = { resolve: (pdf: Uint8Array) => void; reject: (fault: Error) => void }

/**
 * Sets PDFs in a thread of its own: laying out text in large fonts takes up to a second, for which the sink must not stand
 * still. The thread is started with the first order and ends when there has been none for a minute.
 */
export class PdfRenderer {
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #nextId = 1
  readonly #waiting = new Map<number, Waiting>()

  /** @throws Problem 503 `busy` when too many wait. */
  render(view: InvoiceView): Promise<Uint8Array> {
    if (this.#waiting.size >= MAX_WAITING)
      throw new Problem(503, 'busy', { detail: 'Too many PDFs are being made.', headers: { 'Retry-After': '5' } })
    clearTimeout(this.#idle)
    const worker = this.#start()
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      worker.postMessage({ id, view } satisfies PdfOrder)
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle)
    await this.#worker?.terminate()
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./pdf-worker.ts', import.meta.url))
    worker.unref()
    worker.on('message', ({ id, pdf, fault }: PdfAnswer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (pdf !== undefined) waiting?.resolve(pdf)
      else waiting?.reject(new Error(fault))
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref()
    })
    const end = (fault: Error) => {
      if (this.#worker === worker) this.#worker = undefined
      for (const waiting of this.#waiting.values()) waiting.reject(fault)
      this.#waiting.clear()
    }
    worker.on('error', end)
    worker.on('exit', () => end(new Error('the thread that sets PDFs has ended')))
    this.#worker = worker
    return worker
  }
}
