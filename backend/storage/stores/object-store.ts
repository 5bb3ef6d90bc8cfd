import type { Statement } from '../../postgres/statement.ts'
import type { Bucket } from '../bucket.ts'
import type { StorageSession } from '../session.ts'
import { epochUs } from './sql-fragments.ts'
import { type BlobPart, objectJson, type StoredObject } from './stored-object.ts'

/** The exact total after a change, and when the database made it: read under the total's lock, so it never runs backwards. */
export type UsageTotal = { filesBytes: number; changedAtUs: number }

/** What an upload has to know before it takes a body. */
export type UploadPlan = {
  bucket: Pick<Bucket, 'policy' | 'file_size_limit' | 'allowed_mime_types'> | null
  existing: { id: string; size: number } | null
  usedBytes: number
}

/** An object as it is to be written. */
export type NewObject = Omit<StoredObject, 'id' | 'created_at' | 'updated_at'> & {
  upsert: boolean
  /** `null` is unlimited. */
  quotaBytes: number | null
  /** The resumable upload that ends with this write, whose reservation becomes the object. */
  upload?: { id: string; reservedBytes: number }
}

export type WriteOutcome =
  | { outcome: 'written'; object: StoredObject; replaced: BlobPart[]; total: UsageTotal }
  | { outcome: 'duplicate' | 'quota' | 'outlived' }

const TOTAL = `json_build_object('filesBytes', files_bytes, 'changedAtUs', ${epochUs('changed_at')})`

/** The objects' rows, the total of their sizes, and the list of blobs that no row refers to: changed together or not at all. */
export class ObjectStore {
  async find(session: StorageSession, bucket: string, name: string): Promise<StoredObject | undefined> {
    return session.ask({
      text: `select ${objectJson('o')} from ${session.tables.objects} o where bucket_id = $1 and name = $2`,
      values: [bucket, name],
    })
  }

  /** The same in a bucket whose public path is open; run with all rights. */
  async findPublic(session: StorageSession, bucket: string, name: string): Promise<StoredObject | undefined> {
    const { objects, buckets } = session.tables
    return session.ask({
      text: `select ${objectJson('o')} from ${objects} o join ${buckets} b on b.id = o.bucket_id and b.public
        where o.bucket_id = $1 and o.name = $2`,
      values: [bucket, name],
    })
  }

  /** Finds those of `names` that exist for the caller. */
  async findMany(session: StorageSession, bucket: string, names: readonly string[]): Promise<Set<string>> {
    const found = await session.ask<string[]>({
      text: `select coalesce(json_agg(name), '[]') from ${session.tables.objects}
        where bucket_id = $1 and name in (select json_array_elements_text($2::json))`,
      values: [bucket, JSON.stringify(names)],
    })
    return new Set(found)
  }

  async planUpload(session: StorageSession, bucket: string, name: string): Promise<UploadPlan | undefined> {
    const { buckets, objects, usage } = session.tables
    return session.ask({
      text: `select json_build_object(
        'bucket', (select json_build_object('policy', policy, 'file_size_limit', file_size_limit,
          'allowed_mime_types', allowed_mime_types) from ${buckets} where id = $1),
        'existing', (select json_build_object('id', id, 'size', size_bytes) from ${objects}
          where bucket_id = $1 and name = $2),
        'usedBytes', coalesce((select files_bytes + reserved_bytes from ${usage}), 0))`,
      values: [bucket, name],
    })
  }

  /** Notes blobs that are about to be written. Where nothing comes of them, the sweeper removes them after `hours`. */
  async announceBlobs(session: StorageSession, versions: readonly string[], hours: number): Promise<void> {
    await session.ask({
      text: `insert into ${session.tables.pending} (version, due_at)
        select v, now() + make_interval(hours => $2::int) from json_array_elements_text($1::json) v`,
      values: [JSON.stringify(versions), String(hours)],
    })
  }

  /** Condemns those of `versions` that are on the list, and gives these. */
  async condemnBlobs(session: StorageSession, versions: readonly string[]): Promise<string[]> {
    const condemned = await session.ask<string[]>({
      text: `with condemned as (
          update ${session.tables.pending} set condemned = true
          where version in (select json_array_elements_text($1::json)) returning version)
        select coalesce(json_agg(version), '[]') from condemned`,
      values: [JSON.stringify(versions)],
    })
    return condemned ?? []
  }

  /** Forgets blobs that are gone from the blob store. */
  async forgetBlobs(session: StorageSession, versions: readonly string[]): Promise<void> {
    await session.ask({
      text: `delete from ${session.tables.pending} where version in (select json_array_elements_text($1::json))`,
      values: [JSON.stringify(versions)],
    })
  }

  /**
   * Makes `object` visible: its row, the total within the quota, the replaced blobs on the list of what to remove and its own
   * off it, in one transaction. The locks come first, in statements of their own, so that the decision sees what they waited
   * for (READ COMMITTED takes a new snapshot for each statement).
   */
  async write(session: StorageSession, object: NewObject): Promise<WriteOutcome> {
    const { objects, pending, usage, uploads } = session.tables
    // The blobs of a resumable upload left the list when their part was taken; its own row vouches for them.
    const versions = JSON.stringify(object.upload === undefined ? object.blobs.map((blob) => blob.v) : [])
    const answer = await session.ask<{
      verdict: 'ok' | 'duplicate' | 'quota' | 'outlived'
      object: StoredObject | null
      replaced: BlobPart[] | null
      total: UsageTotal | null
    }>(
      lockUsage(session),
      {
        text: `select version from ${pending} where version in (select json_array_elements_text($1::json)) for update`,
        values: [versions],
      },
      { text: `select id from ${uploads} where id = $1 for update`, values: [object.upload?.id ?? null] },
      {
        text: `with usage as (select files_bytes, reserved_bytes from ${usage}),
          old as (select size_bytes, blobs from ${objects} where bucket_id = $1 and name = $2),
          verdict as (
            select case
              when (select count(*) from ${pending} p where not p.condemned
                  and p.version in (select json_array_elements_text($3::json))) <> json_array_length($3::json) then 'outlived'
              when $4::text is not null and not exists (select from ${uploads} where id = $4 and not finished) then 'outlived'
              when old.blobs is not null and not $5::boolean then 'duplicate'
              when $6::bigint > coalesce(old.size_bytes, 0)
                and usage.files_bytes + usage.reserved_bytes - $7::bigint - coalesce(old.size_bytes, 0) + $6::bigint
                  > coalesce($8::bigint, 9223372036854775807) then 'quota'
              else 'ok' end as word
            from usage left join old on true),
          written as (
            insert into ${objects} as o (bucket_id, name, owner_id, version, blobs, size_bytes, etag, mime_type,
              cache_control, content_encoding, user_metadata)
            select $1, $2, $9, $10, $11::jsonb, $6::bigint, $12, $13, $14, $15, $16::jsonb from verdict where word = 'ok'
            on conflict (bucket_id, name) do update set owner_id = excluded.owner_id, version = excluded.version,
              blobs = excluded.blobs, size_bytes = excluded.size_bytes, etag = excluded.etag,
              mime_type = excluded.mime_type, cache_control = excluded.cache_control,
              content_encoding = excluded.content_encoding, user_metadata = excluded.user_metadata, updated_at = now()
            where $5::boolean
            returning o.*),
          kept as (
            delete from ${pending} where version in (select json_array_elements_text($3::json))
              and exists (select from written)),
          dropped as (
            insert into ${pending} (version, due_at) select blob ->> 'v', now() from old, jsonb_array_elements(old.blobs) blob
            where exists (select from written)),
          ended as (
            update ${uploads} set finished = true, blobs = '[]' where id = $4 and exists (select from written)),
          total as (
            update ${usage} set reserved_bytes = reserved_bytes - $7::bigint, changed_at = clock_timestamp(),
              files_bytes = files_bytes + $6::bigint - coalesce((select size_bytes from old), 0)
            where exists (select from written) returning files_bytes, changed_at)
          select json_build_object('verdict', (select word from verdict),
            'object', (select ${objectJson('w')} from written w), 'replaced', (select blobs from old),
            'total', (select ${TOTAL} from total))`,
        values: [
          object.bucket_id,
          object.name,
          versions,
          object.upload?.id ?? null,
          String(object.upsert),
          String(object.size),
          String(object.upload?.reservedBytes ?? 0),
          object.quotaBytes?.toString() ?? null,
          object.owner,
          object.version,
          JSON.stringify(object.blobs),
          object.etag,
          object.mimetype,
          object.cache_control,
          object.content_encoding,
          object.user_metadata === null ? null : JSON.stringify(object.user_metadata),
        ],
      },
    )
    if (answer === undefined) return { outcome: 'outlived' }
    if (answer.object !== null && answer.total !== null)
      return { outcome: 'written', object: answer.object, replaced: answer.replaced ?? [], total: answer.total }
    // Decided to write and nothing written: the name belongs to an object that the caller may not see.
    return { outcome: answer.verdict === 'ok' ? 'duplicate' : answer.verdict }
  }

  /**
   * Removes those of `entries` that the caller may remove; their sizes leave the total in the same transaction. An entry with
   * a version is removed only while that is the current one.
   */
  async remove(
    session: StorageSession,
    bucket: string,
    entries: readonly { name: string; version?: string }[],
  ): Promise<{ removed: StoredObject[]; total: UsageTotal | null }> {
    // By id, so that each name is looked up in the index, however many objects the bucket has.
    return this.#removeWhere(
      session,
      `o.id in (select x.id from json_to_recordset($2::json) as e(name text, version text)
        join ${session.tables.objects} x on x.bucket_id = $1 and x.name = e.name
        where e.version is null or e.version = x.version)`,
      [bucket, JSON.stringify(entries)],
    )
  }

  /** Removes up to `limit` objects of a bucket. */
  async removeSome(
    session: StorageSession,
    bucket: string,
    limit: number,
  ): Promise<{ removed: StoredObject[]; total: UsageTotal | null }> {
    return this.#removeWhere(
      session,
      `o.id in (select id from ${session.tables.objects} where bucket_id = $1 limit $2::bigint)`,
      [bucket, String(limit)],
    )
  }

  /**
   * Gives an object another name or bucket; its blobs stay where they are. It waits its turn like the writes: one of them could
   * otherwise replace a row that it has not counted.
   * @throws Postgres's 23505, 23503, 42501.
   */
  async move(
    session: StorageSession,
    from: { bucket: string; name: string },
    to: { bucket: string; name: string },
  ): Promise<StoredObject | undefined> {
    return session.ask(lockUsage(session), {
      text: `update ${session.tables.objects} o set bucket_id = $3, name = $4, updated_at = now()
        where bucket_id = $1 and name = $2 returning ${objectJson('o')}`,
      values: [from.bucket, from.name, to.bucket, to.name],
    })
  }

  async #removeWhere(
    session: StorageSession,
    condition: string,
    values: (string | null)[],
  ): Promise<{ removed: StoredObject[]; total: UsageTotal | null }> {
    const { objects, pending, usage } = session.tables
    const answer = await session.ask<{ removed: StoredObject[]; total: UsageTotal | null }>(lockUsage(session), {
      text: `with gone as (delete from ${objects} o where ${condition} returning o.*),
        dropped as (
          insert into ${pending} (version, due_at) select blob ->> 'v', now() from gone, jsonb_array_elements(gone.blobs) blob),
        total as (
          update ${usage} set files_bytes = files_bytes - (select coalesce(sum(size_bytes), 0) from gone),
            changed_at = clock_timestamp()
          where exists (select from gone) returning files_bytes, changed_at)
        select json_build_object('removed', (select coalesce(json_agg(${objectJson('gone')}), '[]') from gone),
          'total', (select ${TOTAL} from total))`,
      values,
    })
    return answer ?? { removed: [], total: null }
  }
}

/** Every change of the total waits here for the one before it: that is what makes the quota exact. */
export function lockUsage(session: StorageSession): Statement {
  return { text: `select files_bytes from ${session.tables.usage} for update`, values: [] }
}
