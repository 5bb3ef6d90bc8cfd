/** Something that stops the platform from starting, and what the operator can do about it. */
export class Remedy extends Error {
  readonly remedy: string

  constructor(what: string, remedy: string) {
    super(what)
    this.name = 'Remedy'
    this.remedy = remedy
  }
}
