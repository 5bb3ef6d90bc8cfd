import { Readable } from 'node:stream'

/** So much of a body is remembered; one that has sent more goes to one upstream only. */
const REMEMBERED_BYTES = 256 * 1024

/**
 * A request's body that may be sent from its beginning again, for as long as little of it has been read. What it is read by
 * is one view at a time; an earlier one gets nothing more.
 */
export class ReplayableBody {
  readonly #source: Readable
  #kept: Buffer[] = []
  #keptBytes = 0
  /** How many of the kept chunks the view has. */
  #position = 0
  #isReplayable = true
  #view: Readable | undefined
  #isReading = false
  #isEnded = false
  #fault: Error | undefined

  constructor(source: Readable) {
    this.#source = source
  }

  /** False once more was read than is remembered, or the source has failed. */
  get isReplayable(): boolean {
    return this.#isReplayable && this.#fault === undefined
  }

  /** The body from its beginning. */
  open(): Readable {
    if (!this.isReplayable) throw new Error('The beginning of the body is gone')
    this.#position = 0
    const view: Readable = new Readable({
      highWaterMark: 64 * 1024,
      read: () => this.#pull(view),
      destroy: (fault, callback) => {
        // An upstream that gives up its body may be followed by another, which then has a view of its own.
        queueMicrotask(() => {
          if (this.#view === view) this.close()
        })
        callback(fault)
      },
    })
    this.#view = view
    return view
  }

  /** Nobody reads it any more. */
  close(): void {
    this.#view = undefined
    this.#kept = []
    this.#isReplayable = false
    this.#source.destroy()
  }

  #pull(view: Readable): void {
    if (view !== this.#view) return
    if (!this.#deliverKept(view) || view !== this.#view) return
    if (this.#fault !== undefined) view.destroy(this.#fault)
    else if (this.#isEnded) view.push(null)
    else this.#read()
  }

  #read(): void {
    if (!this.#isReading) {
      this.#isReading = true
      this.#source.on('data', (chunk: Buffer) => this.#take(chunk))
      this.#source.once('end', () => {
        this.#isEnded = true
        // A view that has not yet taken what is kept is told after that.
        if (this.#position >= this.#kept.length) this.#view?.push(null)
      })
      this.#source.once('error', (fault) => {
        this.#fault = fault
        this.#view?.destroy(fault)
      })
    }
    this.#source.resume()
  }

  #take(chunk: Buffer): void {
    const view = this.#view
    if (view === undefined) return
    let isWanted: boolean
    if (this.#isReplayable) {
      this.#kept.push(chunk)
      this.#keptBytes += chunk.length
      isWanted = this.#deliverKept(view)
    } else isWanted = view.push(chunk)
    if (!isWanted) this.#source.pause()
  }

  /** @returns whether the view wants more. Whoever takes a chunk may fail over it, and open another view. */
  #deliverKept(view: Readable): boolean {
    let isWanted = true
    while (isWanted && view === this.#view && this.#position < this.#kept.length)
      isWanted = view.push(this.#kept[this.#position++])
    if (view === this.#view && this.#position >= this.#kept.length && this.#keptBytes > REMEMBERED_BYTES) this.#forget()
    return isWanted
  }

  #forget(): void {
    this.#isReplayable = false
    this.#kept = []
    this.#position = 0
  }
}
