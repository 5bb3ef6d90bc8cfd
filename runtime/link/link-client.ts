import { LinkConnection, type LinkDial, LinkLostError, type ResponseEvents } from './link-connection.ts'
import type { StreamSide } from './stream-side.ts'

/**
 * The client's end of a link: as many requests as wanted in flight on one connection. It dials on the first request, and
 * again on the first after the connection was lost or the server asked to be left.
 */
export class LinkClient {
  readonly #dial: LinkDial
  /** The one that takes new requests comes last; earlier ones end with what they have under way. */
  #connections: LinkConnection[] = []
  #current: LinkConnection | undefined
  #isClosed = false

  /** @param dial opens a connection to the server; called whenever there is none. */
  constructor(dial: LinkDial) {
    this.#dial = dial
  }

  /** True while a request would leave at once. */
  get isOpen(): boolean {
    return this.#current?.isOpen ?? false
  }

  /** Dials, unless a connection is there or on its way. */
  open(): void {
    if (this.#current === undefined && !this.#isClosed) this.#connect()
  }

  /** Requests without an answer yet. */
  get inFlight(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.inFlight, 0)
  }

  /**
   * Sends a request head; the body follows by the returned side's `write` and `end` (call `end` at once when there is none).
   * @param head method, path, then name, value, name, value …
   */
  request(head: readonly string[], events: ResponseEvents): StreamSide {
    return (this.#current ?? this.#connect()).request(head, events)
  }

  /** Ends every connection; requests under way are lost. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#connections) connection.destroy()
  }

  #connect(): LinkConnection {
    if (this.#isClosed) throw new LinkLostError(true)
    const connection: LinkConnection = new LinkConnection(this.#dial, () => {
      if (this.#current === connection) this.#current = undefined
    })
    this.#connections = [...this.#connections.filter((earlier) => earlier.inFlight > 0), connection]
    this.#current = connection
    return connection
  }
}
