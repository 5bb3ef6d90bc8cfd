/**
 * Jobs that wait, first come first served within a tag (a tenant), the tags in turn: a tag that was served goes to the end, so one
 * tenant's burst does not hold up another's first request. Bounded in number over all tags.
 */
export class FairQueue<Job extends { tag: string; queuedAtMs: number }> {
  readonly #byTag = new Map<string, Job[]>()
  readonly #maxLength: number
  #length = 0

  constructor(maxLength: number) {
    this.#maxLength = maxLength
  }

  get length(): number {
    return this.#length
  }

  /** @returns whether there was room. */
  add(job: Job): boolean {
    if (this.#length >= this.#maxLength) return false
    const queue = this.#byTag.get(job.tag)
    if (queue === undefined) this.#byTag.set(job.tag, [job])
    else queue.push(job)
    this.#length += 1
    return true
  }

  /** The tags that wait, whose turn it is first. A copy: jobs may be taken and added meanwhile. */
  tags(): string[] {
    return [...this.#byTag.keys()]
  }

  /** Takes the oldest job of `tag`, and puts the tag last. */
  take(tag: string): Job | undefined {
    const queue = this.#byTag.get(tag)
    const job = queue?.shift()
    this.#byTag.delete(tag)
    if (queue !== undefined && queue.length > 0) this.#byTag.set(tag, queue)
    if (job !== undefined) this.#length -= 1
    return job
  }

  /** Removes and returns the jobs that were queued before `queuedBeforeMs`. */
  takeOlderThan(queuedBeforeMs: number): Job[] {
    const taken: Job[] = []
    for (const [tag, queue] of this.#byTag) {
      while (queue[0] !== undefined && queue[0].queuedAtMs < queuedBeforeMs) taken.push(queue.shift() as Job)
      if (queue.length === 0) this.#byTag.delete(tag)
    }
    this.#length -= taken.length
    return taken
  }

  takeAll(): Job[] {
    return this.takeOlderThan(Number.POSITIVE_INFINITY)
  }
}
