import { z } from 'zod'
import { storageProblems } from '../errors.ts'
import { checkBucketName, checkKey } from '../names.ts'
import type { StorageSession } from '../session.ts'
import { copyObject, moveObject } from '../steps/copy-object.ts'
import { findObject, type ReadAccess } from '../steps/find-object.ts'
import { removeObjects } from '../steps/remove-objects.ts'
import { type ObjectHeaders, uploadObject } from '../steps/upload-object.ts'
import { listedObject, type StoredObject } from '../stores/stored-object.ts'
import { quotaOf, type Route, type RouteHandler, type StorageCall, wantsUpsert } from './call.ts'
import { readBody, sendJson } from './json.ts'
import { readCacheControl, readContentEncoding, readMimeType } from './object-headers.ts'
import { sendObject } from './send-object.ts'
import { readUploadBody } from './upload-body.ts'

const moveSchema = z.object({
  bucketId: z.string(),
  sourceKey: z.string(),
  destinationKey: z.string(),
  destinationBucket: z.string().nullish(),
  sourceVersionId: z.string().nullish(),
})
const copySchema = moveSchema.extend({
  copyMetadata: z.boolean().nullish(),
  metadata: z
    .object({ cacheControl: z.string(), contentEncoding: z.string(), mimetype: z.string() })
    .partial()
    .nullish(),
})
const removeSchema = z.object({
  prefixes: z
    .array(z.union([z.string(), z.object({ path: z.string(), versionId: z.string() })]))
    .min(1)
    .max(1_000),
})

/** `/object`: single objects. The more particular addresses are registered by the other routes, before these. */
export const objectRoutes: readonly Route[] = [
  ['POST', '/object/move', move],
  ['POST', '/object/copy', copy],
  ...readRoutes('/object/public', download('public')),
  ...readRoutes('/object/authenticated', download('own')),
  ...readRoutes('/object/info/public', info('public')),
  ...readRoutes('/object/info/authenticated', info('own')),
  ...readRoutes('/object/info', info('own')),
  ...readRoutes('/object', download('own')),
  ['POST', '/object/:bucket/:name{.+}', (call) => upload(call, wantsUpsert(call))],
  ['PUT', '/object/:bucket/:name{.+}', (call) => upload(call, true)],
  ['DELETE', '/object/:bucket/:name{.+}', removeOne],
  ['DELETE', '/object/:bucket', removeMany],
]

function readRoutes(path: string, handler: RouteHandler): Route[] {
  return ['GET', 'HEAD'].map((method) => [method, `${path}/:bucket/:name{.+}`, handler])
}

async function upload(call: StorageCall, upsert: boolean): Promise<void> {
  await answerUpload(call, call.session, addressOf(call), upsert)
}

/** Takes the request's body as an object and answers as Supabase Storage does. */
export async function answerUpload(
  call: StorageCall,
  session: StorageSession,
  at: { bucket: string; name: string },
  upsert: boolean,
): Promise<void> {
  const target = { ...at, upsert, quotaBytes: quotaOf(call) }
  const object = await uploadObject(call.services, session, target, await readUploadBody(call))
  sendJson(call, { Id: object.id, Key: fullKey(object) })
}

function download(access: ReadAccess): RouteHandler {
  return (call) => {
    const at = { ...addressOf(call), versionId: call.query.get('versionId') ?? undefined }
    // What only this caller may read is for no shared cache.
    const cacheControl = (object: StoredObject) =>
      access === 'public' ? object.cache_control : `private, ${object.cache_control}`
    return sendObject(call, () => findObject(call.services, call.session, at, access), cacheControl)
  }
}

function info(access: ReadAccess): RouteHandler {
  return async (call) => {
    const at = { ...addressOf(call), versionId: call.query.get('versionId') ?? undefined }
    const object = await findObject(call.services, call.session, at, access)
    sendJson(call, {
      id: object.id,
      name: object.name,
      version: object.version,
      bucket_id: object.bucket_id,
      size: object.size,
      content_type: object.mimetype,
      content_encoding: object.content_encoding,
      cache_control: object.cache_control,
      etag: object.etag,
      metadata: object.user_metadata,
      last_modified: object.updated_at,
      created_at: object.created_at,
    })
  }
}

async function move(call: StorageCall): Promise<void> {
  const body = await readBody(call, moveSchema)
  const { from, to } = endpointsOf(body)
  const object = await moveObject(call.services, call.session, from, to)
  sendJson(call, { message: 'Successfully moved', Id: object.id, Key: fullKey(object) })
}

async function copy(call: StorageCall): Promise<void> {
  const body = await readBody(call, copySchema)
  const { from, to } = endpointsOf(body)
  const headers: Partial<ObjectHeaders> = {}
  if (body.copyMetadata === false) {
    headers.user_metadata = null
    const given = body.metadata ?? {}
    if (given.mimetype !== undefined) headers.mimetype = readMimeType(given.mimetype)
    if (given.cacheControl !== undefined) headers.cache_control = readCacheControl(given.cacheControl)
    if (given.contentEncoding !== undefined) headers.content_encoding = readContentEncoding(given.contentEncoding)
  }
  const target = { ...to, upsert: wantsUpsert(call), quotaBytes: quotaOf(call) }
  const object = await copyObject(call.services, call.session, from, target, headers)
  sendJson(call, { Id: object.id, Key: fullKey(object), ...listedObject(object, object.name) })
}

function endpointsOf(body: z.output<typeof moveSchema>) {
  const bucket = checkBucketName(body.bucketId)
  return {
    from: { bucket, name: checkKey(body.sourceKey), versionId: body.sourceVersionId ?? undefined },
    to: {
      bucket: body.destinationBucket == null ? bucket : checkBucketName(body.destinationBucket),
      name: checkKey(body.destinationKey),
    },
  }
}

async function removeOne(call: StorageCall): Promise<void> {
  const { bucket, name } = addressOf(call)
  const removed = await removeObjects(call.services, call.session, bucket, [{ name }])
  if (removed.length === 0) throw storageProblems.noSuchKey()
  sendJson(call, { message: 'Successfully deleted' })
}

async function removeMany(call: StorageCall): Promise<void> {
  const bucket = checkBucketName(call.params.bucket)
  const { prefixes } = await readBody(call, removeSchema)
  const entries = prefixes.map((entry) =>
    typeof entry === 'string' ? { name: entry } : { name: entry.path, version: entry.versionId },
  )
  const removed = await removeObjects(call.services, call.session, bucket, entries)
  sendJson(
    call,
    removed.map((object) => ({
      ...listedObject(object, object.name),
      bucket_id: object.bucket_id,
      owner: object.owner,
      owner_id: object.owner,
      user_metadata: object.user_metadata,
    })),
  )
}

/** The bucket and the name in the address. @throws Problem 400. */
export function addressOf(call: StorageCall): { bucket: string; name: string } {
  return { bucket: checkBucketName(call.params.bucket), name: checkKey(call.params.name) }
}

function fullKey(object: StoredObject): string {
  return `${object.bucket_id}/${object.name}`
}
