/** `tenant` documents are snapshots keyed by tenant name; `server` documents are server records keyed by server name. */
export type DirectoryKind = 'tenant' | 'server'

/** What is published on the announcement channel after each change. */
export type Announcement = { kind: DirectoryKind; key: string; version: number }

export const ANNOUNCE_CHANNEL = 'aerodb:directory:announce'
/** Sorted set `<kind>:<key>` by version: what a reader asks for what it may have missed. */
export const CHANGES_KEY = 'aerodb:directory:changes'
/** Present while the directory holds every living tenant. */
export const COMPLETE_KEY = 'aerodb:directory:complete'

/** Where a document lies: a Redis hash with `version` and `document`. */
export function documentKey(kind: DirectoryKind, key: string): string {
  return `aerodb:directory:${kind}:{${key}}`
}
