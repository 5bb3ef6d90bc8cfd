import type { Statement } from '../../postgres/statement.ts'
import type { StorageSession } from '../session.ts'
import { lockUsage } from './object-store.ts'
import { epochMs } from './sql-fragments.ts'
import type { BlobPart } from './stored-object.ts'

/**
 * A resumable upload:
 *
 *     created ──part──► growing ──last part──► complete ──object written──► finished
 *        └────────────────┴──────terminate, expire──────┴──► gone
 *
 * Its parts are blobs; what `offset` counts is durable. While it is not finished its whole length is reserved in the quota.
 */
export type ResumableUpload = {
  id: string
  bucket: string
  name: string
  owner: string | null
  upsert: boolean
  length: number
  offset: number
  blobs: (BlobPart & { h: string })[]
  mimetype: string
  cache_control: string
  user_metadata: Record<string, unknown> | null
  finished: boolean
  expiresAtMs: number
}

export type NewUpload = Omit<ResumableUpload, 'offset' | 'blobs' | 'finished'> & { quotaBytes: number | null }

const UPLOAD = `json_build_object('id', u.id, 'bucket', u.bucket_id, 'name', u.name, 'owner', u.owner_id, 'upsert', u.upsert,
  'length', u.length_bytes, 'offset', u.offset_bytes, 'blobs', u.blobs, 'mimetype', u.mime_type,
  'cache_control', u.cache_control, 'user_metadata', u.user_metadata, 'finished', u.finished,
  'expiresAtMs', ${epochMs('u.expires_at')})`

/** The rows of resumable uploads; each caller sees its own. */
export class ResumableStore {
  async find(session: StorageSession, id: string): Promise<ResumableUpload | undefined> {
    return session.ask({
      text: `select ${UPLOAD} from ${session.tables.uploads} u where id = $1 and expires_at > now()`,
      values: [id],
    })
  }

  /** Makes the upload and reserves its length; false when the quota has no room for it. */
  async create(session: StorageSession, upload: NewUpload): Promise<boolean> {
    const { uploads, usage, objects } = session.tables
    const answer = await session.ask<{ made: boolean }>(lockUsage(session), {
      text: `with room as (
          update ${usage} set reserved_bytes = reserved_bytes + $6::bigint, changed_at = clock_timestamp()
          where files_bytes + reserved_bytes + $6::bigint
            - coalesce((select size_bytes from ${objects} where bucket_id = $2 and name = $3 and $5::boolean), 0)
            <= coalesce($10::bigint, 9223372036854775807)
          returning true),
        made as (
          insert into ${uploads} (id, bucket_id, name, owner_id, upsert, length_bytes, mime_type, cache_control,
            user_metadata, expires_at)
          select $1, $2, $3, $4, $5::boolean, $6::bigint, $7, $8, $9::jsonb, to_timestamp($11::bigint / 1000.0) from room
          returning id)
        select json_build_object('made', exists (select from made))`,
      values: [
        upload.id,
        upload.bucket,
        upload.name,
        upload.owner,
        String(upload.upsert),
        String(upload.length),
        upload.mimetype,
        upload.cache_control,
        upload.user_metadata === null ? null : JSON.stringify(upload.user_metadata),
        upload.quotaBytes?.toString() ?? null,
        String(upload.expiresAtMs),
      ],
    })
    return answer?.made === true
  }

  /**
   * Adds a written blob to the upload, if the upload still ends at `offset`: of two writers at one offset one wins.
   * @returns false when it lost, or the upload or the blob is gone.
   */
  async addPart(session: StorageSession, id: string, offset: number, part: BlobPart & { h: string }): Promise<boolean> {
    const { uploads, pending } = session.tables
    const added = await session.ask<boolean>(
      { text: `select id from ${uploads} where id = $1 for update`, values: [id] },
      { text: `select version from ${pending} where version = $1 for update`, values: [part.v] },
      {
        text: `with added as (
            update ${uploads} set offset_bytes = offset_bytes + $4::bigint, blobs = blobs || $5::jsonb
            where id = $1 and offset_bytes = $2::bigint and not finished and expires_at > now()
              and exists (select from ${pending} where version = $3 and not condemned)
            returning id),
          kept as (delete from ${pending} where version = $3 and exists (select from added))
          select to_json(exists (select from added))`,
        values: [id, String(offset), part.v, String(part.n), JSON.stringify(part)],
      },
    )
    return added === true
  }

  /** Ends an upload for good: its blobs go on the list of what to remove, its reservation is freed. */
  async terminate(session: StorageSession, id: string): Promise<BlobPart[] | undefined> {
    return this.#drop(session, 'u.id = $1', id)
  }

  /** Ends the uploads whose time is over. Run with all rights. */
  async expire(session: StorageSession, nowMs: number): Promise<void> {
    await this.#drop(session, 'u.expires_at < to_timestamp($1::bigint / 1000.0)', String(nowMs))
  }

  async #drop(session: StorageSession, condition: string, value: string): Promise<BlobPart[] | undefined> {
    const blobs = await session.ask<BlobPart[] | null>(lockUsage(session), dropUploads(session, condition, value))
    return blobs ?? undefined
  }
}

/**
 * Ends the uploads (`u`) that meet `condition`: gives their blobs, or null when there was no such upload. The total must be
 * locked before.
 */
export function dropUploads(session: StorageSession, condition: string, value: string): Statement {
  const { uploads, pending, usage } = session.tables
  return {
    text: `with gone as (delete from ${uploads} u where ${condition} returning u.*),
      blobs as (select blob from gone, jsonb_array_elements(gone.blobs) blob),
      dropped as (insert into ${pending} (version, due_at) select blob ->> 'v', now() from blobs),
      freed as (
        update ${usage} set changed_at = clock_timestamp(),
          reserved_bytes = reserved_bytes - (select coalesce(sum(length_bytes), 0) from gone where not finished)
        where exists (select from gone where not finished))
      select case when exists (select from gone) then (select coalesce(json_agg(blob), '[]') from blobs) end`,
    values: [value],
  }
}
