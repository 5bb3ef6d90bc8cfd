import { z } from 'zod'
import { readBucketSettings } from '../bucket.ts'
import { sqlState, storageProblems } from '../errors.ts'
import { checkBucketName } from '../names.ts'
import { emptyBucket } from '../steps/remove-objects.ts'
import type { Route, StorageCall } from './call.ts'
import { readJson, sendJson } from './json.ts'

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number)
    .pipe(z.number().max(max))

const listingSchema = z.object({
  limit: wholeNumber(1_000).catch(1_000),
  offset: wholeNumber(999_999_999).catch(0),
  search: z.string().max(100).catch(''),
  sortColumn: z.enum(['id', 'name', 'created_at', 'updated_at']).catch('id'),
  sortOrder: z.enum(['asc', 'desc']).catch('asc'),
})

/** `/bucket`: buckets are made, changed and removed by `service_role`; others see those whose policy lets them in. */
export const bucketRoutes: readonly Route[] = [
  ['GET', '/bucket', listBuckets],
  ['POST', '/bucket', createBucket],
  ['GET', '/bucket/:bucket', getBucket],
  ['PUT', '/bucket/:bucket', updateBucket],
  ['PATCH', '/bucket/:bucket', updateBucket],
  ['DELETE', '/bucket/:bucket', deleteBucket],
  ['POST', '/bucket/:bucket/empty', emptyBucketOut],
]

async function listBuckets(call: StorageCall): Promise<void> {
  const listing = listingSchema.parse(Object.fromEntries(call.query))
  sendJson(call, await call.services.buckets.list(call.session, listing))
}

async function getBucket(call: StorageCall): Promise<void> {
  const bucket = await call.services.buckets.find(call.session, checkBucketName(call.params.bucket))
  if (bucket === undefined) throw storageProblems.noSuchBucket()
  sendJson(call, bucket)
}

async function createBucket(call: StorageCall): Promise<void> {
  requireService(call)
  const body = (await readJson(call)) as { id?: unknown; name?: unknown } | null
  const name = checkBucketName(body?.id ?? body?.name)
  if (!(await call.services.buckets.create(call.session, name, readBucketSettings(body))))
    throw storageProblems.bucketExists()
  sendJson(call, { name })
}

async function updateBucket(call: StorageCall): Promise<void> {
  requireService(call)
  const name = checkBucketName(call.params.bucket)
  const settings = readBucketSettings(await readJson(call))
  if (!(await call.services.buckets.update(call.session, name, settings))) throw storageProblems.noSuchBucket()
  sendJson(call, { message: 'Successfully updated' })
}

async function deleteBucket(call: StorageCall): Promise<void> {
  requireService(call)
  try {
    if (!(await call.services.buckets.remove(call.session, checkBucketName(call.params.bucket))))
      throw storageProblems.noSuchBucket()
  } catch (fault) {
    throw sqlState(fault) === '23503' ? storageProblems.bucketNotEmpty() : fault
  }
  sendJson(call, { message: 'Successfully deleted' })
}

async function emptyBucketOut(call: StorageCall): Promise<void> {
  requireService(call)
  const name = checkBucketName(call.params.bucket)
  if ((await call.services.buckets.find(call.session, name)) === undefined) throw storageProblems.noSuchBucket()
  await emptyBucket(call.services, call.session, name)
  sendJson(call, { message: 'Successfully emptied' })
}

function requireService(call: StorageCall): void {
  if (call.session.role !== 'service_role') throw storageProblems.accessDenied()
}
