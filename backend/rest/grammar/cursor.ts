import { RestError } from '../rest-error.ts'

const IDENTIFIER_CHARACTER = /[\p{L}\p{N}_ $]/u
/** A name stands in SQL text (quoted); the wire protocol ends texts at a zero byte. */
const CONTROL_CHARACTER = /\p{Cc}/u

/** Reads one parameter's text from left to right. Every parser of the grammar is a function over it. */
export class Cursor {
  readonly #text: string
  readonly #what: string
  position = 0

  /** @param what names the parameter in the error message, as in `select parameter`. */
  constructor(text: string, what: string) {
    this.#text = text
    this.#what = what
  }

  get atEnd(): boolean {
    return this.position >= this.#text.length
  }

  /** The next character; empty at the end. */
  peek(): string {
    return this.#text.charAt(this.position)
  }

  startsWith(expected: string): boolean {
    return this.#text.startsWith(expected, this.position)
  }

  /** Steps over `expected` when it comes next. */
  eat(expected: string): boolean {
    if (!this.startsWith(expected)) return false
    this.position += expected.length
    return true
  }

  expect(expected: string): void {
    if (!this.eat(expected)) this.fail(`"${expected}"`)
  }

  /** The longest run of characters that are none of `stops`. */
  takeUntil(stops: string): string {
    const start = this.position
    while (!this.atEnd && !stops.includes(this.peek())) this.position += 1
    return this.#text.slice(start, this.position)
  }

  takeRest(): string {
    const rest = this.#text.slice(this.position)
    this.position = this.#text.length
    return rest
  }

  takeWhile(pattern: RegExp): string {
    const start = this.position
    for (;;) {
      const codePoint = this.#text.codePointAt(this.position)
      if (codePoint === undefined) break
      const character = String.fromCodePoint(codePoint)
      if (!pattern.test(character)) break
      this.position += character.length
    }
    return this.#text.slice(start, this.position)
  }

  skipSpaces(): void {
    while (this.peek() === ' ') this.position += 1
  }

  expectEnd(): void {
    if (!this.atEnd) this.fail('end of input')
  }

  /** Runs `parse`; when it gives `undefined` or fails, the position is as before. */
  attempt<T>(parse: () => T | undefined): T | undefined {
    const start = this.position
    try {
      const result = parse()
      if (result !== undefined) return result
    } catch (fault) {
      if (!(fault instanceof RestError)) throw fault
    }
    this.position = start
    return undefined
  }

  /** `"quoted"` with backslash escapes, or `undefined` when no quote comes next. */
  quoted(): string | undefined {
    if (!this.eat('"')) return undefined
    let value = ''
    for (;;) {
      if (this.atEnd) this.fail('closing quote')
      if (this.eat('"')) return value
      if (this.eat('\\') && this.atEnd) this.fail('escaped character')
      value += this.peek()
      this.position += 1
    }
  }

  /** A name: quoted, or letters, digits, `_`, `$` and inner blanks and dashes (a dash before `>` begins a JSON arrow). */
  name(): string {
    const quoted = this.quoted()
    if (quoted !== undefined)
      return CONTROL_CHARACTER.test(quoted) ? this.fail('a name without control characters') : quoted
    const parts: string[] = []
    for (;;) {
      const part = this.takeWhile(IDENTIFIER_CHARACTER)
      if (part === '') this.fail('field name (* or [a..z0..9_$])')
      parts.push(part)
      if (this.peek() !== '-' || this.startsWith('->')) break
      this.position += 1
    }
    const name = parts.join('-').trim()
    if (name === '') this.fail('field name (* or [a..z0..9_$])')
    return name
  }

  /** @throws RestError PGRST100, pointing at the current position. */
  fail(expected: string): never {
    const found = this.atEnd ? 'end of input' : JSON.stringify(this.peek())
    throw new RestError(
      400,
      'PGRST100',
      `"failed to parse ${this.#what} (${this.#text})" (line 1, column ${this.position + 1})`,
      { details: `unexpected ${found} expecting ${expected}` },
    )
  }
}
