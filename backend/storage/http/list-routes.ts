import { z } from 'zod'
import { storageProblems } from '../errors.ts'
import { checkBucketName } from '../names.ts'
import { listLevel, listPage } from '../steps/list-objects.ts'
import type { Route, StorageCall } from './call.ts'
import { readBody, sendJson } from './json.ts'

const order = z.enum(['asc', 'desc']).nullish()
const text = z.string().max(1_024).nullish()
const noVersions = { noncurrentVersions: z.enum(['exclude', 'include', 'only']).nullish() }

const levelSchema = z.object({
  prefix: text,
  limit: z.number().int().min(1).max(10_000).nullish(),
  offset: z.number().int().min(0).max(1_000_000_000).nullish(),
  search: text,
  sortBy: z
    .object({ column: z.enum(['name', 'updated_at', 'created_at', 'last_accessed_at']).nullish(), order })
    .nullish(),
  ...noVersions,
})

const pageSchema = z.object({
  prefix: text,
  limit: z.number().int().min(1).max(1_000).nullish(),
  cursor: z.string().max(8_192).nullish(),
  with_delimiter: z.boolean().nullish(),
  sortBy: z.object({ column: z.enum(['name', 'updated_at', 'created_at']), order }).nullish(),
  ...noVersions,
})

/** The two lists of Supabase Storage: by folder and offset, and by prefix and cursor. */
export const listRoutes: readonly Route[] = [
  ['POST', '/object/list/:bucket', list],
  ['POST', '/object/list-v2/:bucket', listV2],
]

async function list(call: StorageCall): Promise<void> {
  const bucket = await knownBucket(call)
  const body = await readBody(call, levelSchema)
  const column = body.sortBy?.column ?? 'name'
  const entries = await listLevel(call.services.listings, call.session, {
    bucket,
    folder: asFolder(body.prefix ?? ''),
    search: body.search ?? '',
    limit: body.limit ?? 100,
    offset: body.offset ?? 0,
    // We keep no time of last access: it is the last change's.
    sort: { column: column === 'last_accessed_at' ? 'updated_at' : column, order: body.sortBy?.order ?? 'asc' },
  })
  sendJson(call, body.noncurrentVersions === 'only' ? [] : entries)
}

async function listV2(call: StorageCall): Promise<void> {
  const bucket = await knownBucket(call)
  const body = await readBody(call, pageSchema)
  const page = await listPage(call.services.listings, call.session, {
    bucket,
    prefix: body.prefix ?? '',
    limit: body.limit ?? 1_000,
    cursor: body.cursor ?? undefined,
    byFolder: body.with_delimiter ?? false,
    sort: { column: body.sortBy?.column ?? 'name', order: body.sortBy?.order ?? 'asc' },
  })
  sendJson(call, page)
}

async function knownBucket(call: StorageCall): Promise<string> {
  const bucket = checkBucketName(call.params.bucket)
  if ((await call.services.buckets.find(call.session, bucket)) === undefined) throw storageProblems.noSuchBucket()
  return bucket
}

/** `photos`, `photos/` and `/photos` are the same folder; the empty one is the bucket itself. */
function asFolder(prefix: string): string {
  const trimmed = prefix.replace(/^\/+/, '')
  return trimmed === '' || trimmed.endsWith('/') ? trimmed : `${trimmed}/`
}
