/** What to send for one statement: under which server-side name, and whether it has to be parsed first. */
export type PreparedUse = { name: string; parse: boolean }

/**
 * The named prepared statements of one connection, by SQL text: at most `maxNamed`, least recently used closed first. A text
 * becomes named when it is seen for the second time, so texts that come once cost the server no memory.
 *
 *     unseen ──use──► seen once ──use──► preparing ──confirm──► ready ──evict──► closing
 *                                            └──────fail──────► closing
 *
 * While a name is preparing, nobody else may rely on it (its Parse may fail): others send the text unnamed.
 */
export class PreparedStatements {
  readonly #maxNamed: number
  readonly #named = new Map<string, { name: string; ready: boolean }>()
  readonly #seenOnce = new Set<string>()
  #closing: string[] = []
  #nextNumber = 1

  constructor(maxNamed: number) {
    this.#maxNamed = maxNamed
  }

  /** Decides how `text` is sent next. */
  use(text: string): PreparedUse {
    const entry = this.#named.get(text)
    if (entry !== undefined) {
      if (!entry.ready) return { name: '', parse: true }
      this.#named.delete(text)
      this.#named.set(text, entry)
      return { name: entry.name, parse: false }
    }
    if (!this.#seenOnce.delete(text)) {
      this.#seenOnce.add(text)
      if (this.#seenOnce.size > this.#maxNamed) this.#seenOnce.delete(first(this.#seenOnce) ?? '')
      return { name: '', parse: true }
    }
    if (this.#named.size >= this.#maxNamed) this.#evictOldest()
    const name = `s${this.#nextNumber++}`
    this.#named.set(text, { name, ready: false })
    return { name, parse: true }
  }

  /** The server has parsed what `use` told to parse under `name`. */
  confirm(text: string, name: string): void {
    const entry = this.#named.get(text)
    if (entry?.name === name) entry.ready = true
  }

  /** The transaction that was to parse `name` failed; whether the name exists now is unknown, so it is closed. */
  fail(text: string, name: string): void {
    if (this.#named.get(text)?.name === name) this.#named.delete(text)
    this.#closing.push(name)
  }

  /** Names to close before anything else is sent; closing one that does not exist is no error in the protocol. */
  takeClosing(): readonly string[] {
    const names = this.#closing
    if (names.length > 0) this.#closing = []
    return names
  }

  get size(): number {
    return this.#named.size
  }

  #evictOldest(): void {
    for (const [text, entry] of this.#named) {
      if (!entry.ready) continue
      this.#named.delete(text)
      this.#closing.push(entry.name)
      return
    }
  }
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item
  return undefined
}
