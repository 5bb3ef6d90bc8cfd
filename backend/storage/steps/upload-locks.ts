type Holder = { cancel: () => void; released: Promise<void> }

/**
 * One writer for each resumable upload in this process. Who comes next asks the one before to stop, so that a client that
 * lost its connection does not wait until we notice too. Across processes the transaction on the offset decides.
 */
export class UploadLocks {
  readonly #holders = new Map<string, Holder>()

  /** Waits until nobody else holds `id`, then runs `work`; its signal is aborted when another wants it. */
  async hold<Result>(id: string, work: (cancelled: AbortSignal) => Promise<Result>): Promise<Result> {
    for (let holder = this.#holders.get(id); holder !== undefined; holder = this.#holders.get(id)) {
      holder.cancel()
      await holder.released
    }
    const controller = new AbortController()
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#holders.set(id, { cancel: () => controller.abort(), released })
    try {
      return await work(controller.signal)
    } finally {
      this.#holders.delete(id)
      release()
    }
  }
}
