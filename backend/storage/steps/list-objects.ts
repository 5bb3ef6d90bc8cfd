import { z } from 'zod'
import { storageProblems } from '../errors.ts'
import type { StorageSession } from '../session.ts'
import type { Cursor, LevelQuery, ListingStore, PageQuery } from '../stores/listing-store.ts'
import { listedObject } from '../stores/stored-object.ts'

export type ListedPage = {
  hasNext: boolean
  nextCursor?: string
  folders: { name: string; key: string }[]
  objects: Record<string, unknown>[]
}

/** A position in a list, opaque to the caller: in the folders, or in the objects that follow them. */
const cursorSchema = z.object({ s: z.enum(['folder', 'object']), k: z.string(), n: z.string() })

/** The older list: one folder's content, folders first. */
export async function listLevel(
  listings: ListingStore,
  session: StorageSession,
  query: LevelQuery,
): Promise<unknown[]> {
  const entries = await listings.listLevel(session, query)
  return entries.map((entry) =>
    'object' in entry
      ? listedObject(entry.object, entry.object.name.slice(query.folder.length))
      : { name: entry.folder, id: null, updated_at: null, created_at: null, last_accessed_at: null, metadata: null },
  )
}

/** The newer list: a page by cursor, of all objects under a prefix or, `byFolder`, of one level. */
export async function listPage(
  listings: ListingStore,
  session: StorageSession,
  query: Omit<PageQuery, 'after'> & { cursor: string | undefined; byFolder: boolean },
): Promise<ListedPage> {
  const position = query.cursor === undefined ? undefined : readCursor(query.cursor)
  const folder = query.byFolder ? query.prefix.slice(0, query.prefix.lastIndexOf('/') + 1) : undefined
  // One more than asked for tells whether there is a next page.
  let room = query.limit + 1
  let folders: string[] = []
  if (folder !== undefined && position?.s !== 'object') {
    const after = position === undefined ? undefined : { key: position.k, name: position.n }
    folders = await listings.listFolders(session, { ...query, limit: room, after }, folder)
    room -= folders.length
  }
  let objects: Awaited<ReturnType<ListingStore['listObjects']>> = []
  if (room > 0) {
    const after: Cursor | undefined = position?.s === 'object' ? { key: position.k, name: position.n } : undefined
    objects = await listings.listObjects(session, { ...query, limit: room, after }, folder)
  }
  const hasNext = folders.length + objects.length > query.limit
  if (hasNext) (objects.length > 0 ? objects : folders).pop()
  const last = objects.at(-1)
  const lastFolder = folders.at(-1)
  const next =
    last !== undefined
      ? { s: 'object', k: query.sort.column === 'name' ? '' : last[query.sort.column], n: last.name }
      : { s: 'folder', k: '', n: lastFolder ?? '' }
  return {
    hasNext,
    ...(hasNext ? { nextCursor: Buffer.from(JSON.stringify(next)).toString('base64url') } : {}),
    folders: folders.map((key) => ({ name: key, key })),
    objects: objects.map((object) => ({ ...listedObject(object, object.name), key: object.name })),
  }
}

function readCursor(text: string): z.output<typeof cursorSchema> {
  try {
    const cursor = cursorSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
    if (cursor.n.includes('\0') || (cursor.k !== '' && Number.isNaN(Date.parse(cursor.k)))) throw new Error('malformed')
    return cursor
  } catch (cause) {
    throw storageProblems.invalidRequest('The cursor is not one that this list gave.', cause)
  }
}
