/** One client's tracked state. `ref` is unique over all processes; `key` is what clients group it under. */
export type PresenceEntry = { ref: string; key: string; metaJson: string }

/** What came and what went, as `presence_diff` says it. */
export type PresenceDiff = { joins: readonly PresenceEntry[]; leaves: readonly PresenceEntry[] }

/** Everybody who is present in one topic, on whichever process, as this process knows it. */
export class PresenceView {
  readonly #entries = new Map<string, PresenceEntry>()

  get size(): number {
    return this.#entries.size
  }

  /** Applies a diff and gives the part of it that was news. */
  apply(diff: PresenceDiff): PresenceDiff {
    const leaves = diff.leaves.filter((entry) => this.#entries.delete(entry.ref))
    const joins = diff.joins.filter((entry) => !this.#entries.has(entry.ref))
    for (const entry of joins) this.#entries.set(entry.ref, entry)
    return { joins, leaves }
  }

  /**
   * Brings the view in line with `entries`, except for those for which `isKnown` holds: of them this process knows better.
   * @returns what changed by it.
   */
  reconcile(entries: readonly PresenceEntry[], isKnown: (ref: string) => boolean): PresenceDiff {
    const refs = new Set(entries.map((entry) => entry.ref))
    return this.apply({
      joins: entries.filter((entry) => !isKnown(entry.ref)),
      leaves: [...this.#entries.values()].filter((entry) => !refs.has(entry.ref) && !isKnown(entry.ref)),
    })
  }

  /** Entries for which `test` holds. */
  select(test: (ref: string) => boolean): PresenceEntry[] {
    return [...this.#entries.values()].filter((entry) => test(entry.ref))
  }

  /** The payload of `presence_state`. */
  stateJson(): string {
    return groupJson([...this.#entries.values()])
  }
}

/** The payload of `presence_diff`. */
export function diffJson(diff: PresenceDiff): string {
  return `{"joins":${groupJson(diff.joins)},"leaves":${groupJson(diff.leaves)}}`
}

/** True when a diff says nothing. */
export function isEmptyDiff(diff: PresenceDiff): boolean {
  return diff.joins.length === 0 && diff.leaves.length === 0
}

/** The JSON of one client's state: what it tracked, and the reference by which clients know it. */
export function presenceMetaJson(payload: Readonly<Record<string, unknown>>, ref: string): string {
  const { phx_ref: _ours, ...rest } = payload
  return JSON.stringify({ ...rest, phx_ref: ref })
}

/** Written by hand, so that a key such as `__proto__` is a key like any other. */
function groupJson(entries: readonly PresenceEntry[]): string {
  const metasByKey = new Map<string, string[]>()
  for (const { key, metaJson } of entries) {
    const metas = metasByKey.get(key)
    if (metas === undefined) metasByKey.set(key, [metaJson])
    else metas.push(metaJson)
  }
  return `{${[...metasByKey].map(([key, metas]) => `${JSON.stringify(key)}:{"metas":[${metas.join(',')}]}`).join(',')}}`
}
