/** What stands in a roster knows its place there; -1 when it stands in none. */
export type Rostered = { place: number }

/**
 * Who is there, in no order: entering, leaving and looking at all of them. Not a `Set`: where members come and go with each
 * request, V8's old hash tables keep them alive through young collections (see `runtime/link/stream-table.ts`).
 */
export class Roster<Member extends Rostered> {
  readonly #members: (Member | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  enter(member: Member): void {
    if (member.place >= 0) return
    member.place = this.#size
    this.#members[this.#size++] = member
  }

  leave(member: Member): void {
    const { place } = member
    if (place < 0) return
    member.place = -1
    const last = this.#members[--this.#size]
    // The array keeps its length: it never shrinks and grows with the load.
    this.#members[this.#size] = undefined
    if (last === undefined || last === member) return
    last.place = place
    this.#members[place] = last
  }

  /** Those that are there now; they may leave meanwhile. */
  all(): Member[] {
    return this.#members.filter((member) => member !== undefined)
  }
}
