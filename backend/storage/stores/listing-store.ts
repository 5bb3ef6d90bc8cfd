import type { StorageSession } from '../session.ts'
import { objectJson, type StoredObject } from './stored-object.ts'

export type Sort = { column: 'name' | 'created_at' | 'updated_at'; order: 'asc' | 'desc' }

/** One level of a bucket as the older list shows it: folders first, then objects; both relative to `folder`. */
export type LevelQuery = { bucket: string; folder: string; search: string; limit: number; offset: number; sort: Sort }
export type LevelEntry = { folder: string } | { object: StoredObject }

/** A page of the newer list: objects under a prefix after a cursor, or one level's folders and then its objects. */
export type PageQuery = { bucket: string; prefix: string; limit: number; sort: Sort; after: Cursor | undefined }
export type Cursor = { key: string; name: string }

/** Sorts after every name: it is a noncharacter, which no name has, and the highest code point. */
const AFTER_ALL = '\u{10FFFF}'

/**
 * The folders directly below `$2`, one index probe each however much lies in them: from each folder found, on to the first
 * that does not begin with it (`0` is the character after `/`).
 */
function foldersBelow(objects: string): string {
  const entry = `left(folder, length($2) + strpos(substr(folder, length($2) + 1), '/'))`
  return `with recursive found as (
      (select ${entry} as entry from ${objects}
        where bucket_id = $1 and folder > $2 and folder < $3 order by folder limit 1)
      union all
      select next.entry from found, lateral (
        select ${entry} as entry from ${objects}
        where bucket_id = $1 and folder >= left(found.entry, -1) || '0' and folder < $3 order by folder limit 1) next)`
}

/** Lists of objects, read from the indexes on (bucket, name) and (bucket, folder, name). */
export class ListingStore {
  async listLevel(session: StorageSession, query: LevelQuery): Promise<LevelEntry[]> {
    const { objects } = session.tables
    const desc = query.sort.order === 'desc' ? 'desc' : 'asc'
    const column = query.sort.column
    const rows = await session.ask<LevelEntry[]>({
      text: `${foldersBelow(objects)},
        entries as (
          select 0 as rank, left(entry, -1) as name, null::timestamptz as at,
            json_build_object('folder', substr(left(entry, -1), length($2) + 1)) as entry from found
          union all
          select 1, o.name, ${column === 'name' ? 'null' : `o.${column}`}, json_build_object('object', ${objectJson('o')})
          from ${objects} o where o.bucket_id = $1 and o.folder = $2 and o.name <> $2)
        select coalesce(json_agg(entry), '[]') from (
          select entry from entries
          where $4 = '' or lower(left(substr(name, length($2) + 1), length($4))) = lower($4)
          order by rank, at ${desc}, name collate "C" ${desc} limit $5::bigint offset $6::bigint) page`,
      values: [
        query.bucket,
        query.folder,
        upperBound(query.folder),
        query.search,
        String(query.limit),
        String(query.offset),
      ],
    })
    return rows ?? []
  }

  /** Objects whose names begin with `prefix`; with `folder`, only those directly in that folder. */
  async listObjects(session: StorageSession, query: PageQuery, folder: string | undefined): Promise<StoredObject[]> {
    const compare = query.sort.order === 'desc' ? '<' : '>'
    const desc = query.sort.order === 'desc' ? 'desc' : 'asc'
    // Cursors carry milliseconds, so that is what they are compared with.
    const byTime = query.sort.column === 'name' ? undefined : `date_trunc('milliseconds', o.${query.sort.column})`
    const after = byTime === undefined ? `o.name ${compare} $5` : `(${byTime}, o.name) ${compare} ($6::timestamptz, $5)`
    const rows = await session.ask<StoredObject[]>({
      text: `select coalesce(json_agg(object), '[]') from (
        select ${objectJson('o')} as object from ${session.tables.objects} o
        where o.bucket_id = $1 and o.name >= $2 and o.name < $3 and ($7::text is null or (o.folder = $7 and o.name <> $7))
          and ($5::text is null or ${after}) ${byTime === undefined ? 'and $6::text is null' : ''}
        order by ${byTime === undefined ? '' : `${byTime} ${desc}, `}o.name ${desc} limit $4::bigint) page`,
      values: [
        query.bucket,
        query.prefix,
        upperBound(query.prefix),
        String(query.limit),
        query.after?.name ?? null,
        byTime === undefined ? null : (query.after?.key ?? null),
        folder ?? null,
      ],
    })
    return rows ?? []
  }

  /** Full names, without the last slash, of the folders directly below `folder` that begin with `prefix`, after `after`. */
  async listFolders(session: StorageSession, query: PageQuery, folder: string): Promise<string[]> {
    const desc = query.sort.order === 'desc' && query.sort.column === 'name' ? 'desc' : 'asc'
    const rows = await session.ask<string[]>({
      text: `${foldersBelow(session.tables.objects)}
        select coalesce(json_agg(left(entry, -1)), '[]') from (
          select entry from found where starts_with(entry, $4)
            and ($6::text is null or left(entry, -1) collate "C" ${desc === 'desc' ? '<' : '>'} $6)
          order by left(entry, -1) collate "C" ${desc} limit $5::bigint) page`,
      values: [query.bucket, folder, upperBound(folder), query.prefix, String(query.limit), query.after?.name ?? null],
    })
    return rows ?? []
  }
}

/** The first name after all that begin with `prefix`. */
function upperBound(prefix: string): string {
  return prefix + AFTER_ALL
}
