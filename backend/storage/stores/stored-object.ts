import { isoTime } from './sql-fragments.ts'

/** One blob of an object: its version id and its size in bytes. An object is the bytes of its blobs, one after the other. */
export type BlobPart = { v: string; n: number }

/** An object's metadata as stored. Times are ISO 8601. `etag` is quoted. */
export type StoredObject = {
  id: string
  bucket_id: string
  name: string
  owner: string | null
  version: string
  blobs: BlobPart[]
  size: number
  etag: string
  mimetype: string
  cache_control: string
  content_encoding: string | null
  user_metadata: Record<string, unknown> | null
  created_at: string
  updated_at: string
}

/** An object's row, under `alias`, as JSON. */
export function objectJson(alias: string): string {
  const o = alias
  return `json_build_object('id', ${o}.id, 'bucket_id', ${o}.bucket_id, 'name', ${o}.name, 'owner', ${o}.owner_id,
    'version', ${o}.version, 'blobs', ${o}.blobs, 'size', ${o}.size_bytes, 'etag', ${o}.etag, 'mimetype', ${o}.mime_type,
    'cache_control', ${o}.cache_control, 'content_encoding', ${o}.content_encoding, 'user_metadata', ${o}.user_metadata,
    'created_at', ${isoTime(`${o}.created_at`)}, 'updated_at', ${isoTime(`${o}.updated_at`)})`
}

/** What the lists say of an object, in Supabase's words. `name` is relative to the folder that was asked for. */
export function listedObject(object: Omit<StoredObject, 'blobs'>, name: string): Record<string, unknown> {
  return {
    name,
    id: object.id,
    updated_at: object.updated_at,
    created_at: object.created_at,
    last_accessed_at: object.updated_at,
    metadata: {
      eTag: object.etag,
      size: object.size,
      mimetype: object.mimetype,
      cacheControl: object.cache_control,
      lastModified: object.updated_at,
      contentLength: object.size,
      httpStatusCode: 200,
      ...(object.content_encoding === null ? {} : { contentEncoding: object.content_encoding }),
    },
    version: object.version,
  }
}
