import type { Statement } from '../../postgres/statement.ts'
import type { Bucket, BucketSettings } from '../bucket.ts'
import type { StorageSession } from '../session.ts'
import { lockUsage } from './object-store.ts'
import { dropUploads } from './resumable-store.ts'
import { isoTime } from './sql-fragments.ts'

/** What may be asked of a list of buckets. */
export type BucketListing = {
  limit: number
  offset: number
  search: string
  sortColumn: 'id' | 'name' | 'created_at' | 'updated_at'
  sortOrder: 'asc' | 'desc'
}

const SORT_COLUMNS = { id: 'id', name: 'id', created_at: 'created_at', updated_at: 'updated_at' } as const

/** A bucket as JSON, as Supabase Storage answers it, with our `policy`. */
const BUCKET = `json_build_object('id', b.id, 'name', b.id, 'owner', b.owner_id, 'public', b.public, 'type', 'STANDARD',
  'policy', b.policy, 'file_size_limit', b.file_size_limit, 'allowed_mime_types', b.allowed_mime_types,
  'created_at', ${isoTime('b.created_at')}, 'updated_at', ${isoTime('b.updated_at')})`

/** The buckets that the caller's role may know of. */
export class BucketStore {
  async find(session: StorageSession, id: string): Promise<Bucket | undefined> {
    return session.ask({ text: `select ${BUCKET} from ${session.tables.buckets} b where id = $1`, values: [id] })
  }

  async list(session: StorageSession, listing: BucketListing): Promise<Bucket[]> {
    const order = `${SORT_COLUMNS[listing.sortColumn]} ${listing.sortOrder === 'desc' ? 'desc' : 'asc'}, id`
    const rows = await session.ask<Bucket[]>({
      text: `select coalesce(json_agg(page.bucket), '[]') from (
        select ${BUCKET} as bucket from ${session.tables.buckets} b
        where $1 = '' or strpos(lower(b.id), lower($1)) > 0
        order by ${order} limit $2::bigint offset $3::bigint) page`,
      values: [listing.search, String(listing.limit), String(listing.offset)],
    })
    return rows ?? []
  }

  /** False when the name is taken. The tenant's first bucket brings its storage tables into being. */
  async create(session: StorageSession, id: string, settings: BucketSettings): Promise<boolean> {
    const { buckets, usage } = session.tables
    const statements: Statement[] = [
      { text: `insert into ${usage} default values on conflict do nothing`, values: [] },
      {
        text: `with made as (
          insert into ${buckets} (id, owner_id, public, policy, file_size_limit, allowed_mime_types)
          values ($1, $2, $3::boolean, $4, $5::bigint, (select array_agg(t) from json_array_elements_text($6::json) t))
          on conflict do nothing returning id)
          select json_build_object('made', exists (select from made))`,
        values: [
          id,
          session.subject,
          String(settings.public ?? false),
          settings.policy ?? 'owner',
          settings.file_size_limit?.toString() ?? null,
          settings.allowed_mime_types == null ? null : JSON.stringify(settings.allowed_mime_types),
        ],
      },
    ]
    let outcome = await session.ask<{ made: boolean }>(...statements)
    if (outcome === undefined) {
      await session.defineTables()
      outcome = await session.ask<{ made: boolean }>(...statements)
    }
    return outcome?.made === true
  }

  /** False when there is no such bucket. */
  async update(session: StorageSession, id: string, settings: BucketSettings): Promise<boolean> {
    const changed = await session.ask<string>({
      text: `update ${session.tables.buckets} set
          public = coalesce($2::boolean, public), policy = coalesce($3, policy),
          file_size_limit = case when $4::boolean then $5::bigint else file_size_limit end,
          allowed_mime_types = case when $6::boolean
            then (select array_agg(t) from json_array_elements_text($7::json) t) else allowed_mime_types end,
          updated_at = now()
        where id = $1 returning to_json(id)`,
      values: [
        id,
        settings.public?.toString() ?? null,
        settings.policy ?? null,
        String(settings.file_size_limit !== undefined),
        settings.file_size_limit?.toString() ?? null,
        String(settings.allowed_mime_types !== undefined),
        settings.allowed_mime_types == null ? null : JSON.stringify(settings.allowed_mime_types),
      ],
    })
    return changed !== undefined
  }

  /**
   * Removes an empty bucket, and with it the uploads to it that are not finished; false when there is no such one.
   * @throws Postgres's 23503 when it has objects: the foreign key decides, so no upload slips in between.
   */
  async remove(session: StorageSession, id: string): Promise<boolean> {
    const removed = await session.ask<string>(lockUsage(session), dropUploads(session, 'u.bucket_id = $1', id), {
      text: `delete from ${session.tables.buckets} where id = $1 returning to_json(id)`,
      values: [id],
    })
    return removed !== undefined
  }
}
