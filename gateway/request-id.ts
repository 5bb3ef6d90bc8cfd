import { randomBytes } from 'node:crypto'

/** Makes request ids: 96 random bits of this process and a running number. They are unique, not secret. */
export class RequestIds {
  readonly #prefix = `req_${randomBytes(12).toString('hex')}`
  #next = 0

  next(): string {
    return `${this.#prefix}${(this.#next++).toString(36).padStart(8, '0')}`
  }
}
