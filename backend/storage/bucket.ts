import { z } from 'zod'
import type { TenantRole } from '../../tenancy/request-context.ts'
import { storageProblems } from './errors.ts'

/**
 * Who may do what with a bucket's objects, besides `service_role`, which may do everything (the words of the schema API):
 * `none` everybody everything; `owner` signed-in users their own objects; `public_read` everybody reads, signed-in users
 * write their own. The row policies of `tables.ts` say the same in SQL and have the last word.
 */
export const BUCKET_POLICIES = ['none', 'owner', 'public_read'] as const
export type BucketPolicy = (typeof BUCKET_POLICIES)[number]

/** A bucket as stored and as answered. Sizes in bytes; `public` opens the public path to everybody. */
export type Bucket = {
  id: string
  name: string
  owner: string | null
  public: boolean
  type: 'STANDARD'
  policy: BucketPolicy
  file_size_limit: number | null
  allowed_mime_types: string[] | null
  created_at: string
  updated_at: string
}

/** What a caller may say of a bucket; what is absent stays as it is. */
export type BucketSettings = {
  public?: boolean
  policy?: BucketPolicy
  file_size_limit?: number | null
  allowed_mime_types?: string[] | null
}

const UNIT_BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 }
const MIME_PATTERN = /^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/

const settingsSchema = z.object({
  public: z.boolean().nullish(),
  policy: z.enum(BUCKET_POLICIES).nullish(),
  file_size_limit: z.union([z.number().int().nonnegative(), z.string()]).nullish(),
  allowed_mime_types: z.array(z.string().regex(MIME_PATTERN).max(255)).max(100).nullish(),
  type: z.string().nullish(),
  versioning_status: z.string().nullish(),
})

/**
 * Reads the settings in the body of a bucket's creation or update.
 * @throws Problem 400 when a member is malformed, 501 for kinds of buckets that do not exist here.
 */
export function readBucketSettings(body: unknown): BucketSettings {
  const result = settingsSchema.safeParse(body)
  if (!result.success) {
    const issue = result.error.issues[0]
    throw storageProblems.invalidRequest(`body/${issue?.path.join('/') ?? ''} ${issue?.message ?? 'is malformed'}`)
  }
  const { type, versioning_status, ...given } = result.data
  if (type != null && type !== 'STANDARD') throw storageProblems.notImplemented(`The bucket type ${type}`)
  if (versioning_status != null && versioning_status !== 'DISABLED')
    throw storageProblems.notImplemented('Object versioning')
  const settings: BucketSettings = {}
  if (given.public != null) settings.public = given.public
  if (given.policy != null) settings.policy = given.policy
  if (given.file_size_limit !== undefined) settings.file_size_limit = readFileSize(given.file_size_limit)
  if (given.allowed_mime_types !== undefined)
    settings.allowed_mime_types = given.allowed_mime_types?.length === 0 ? null : given.allowed_mime_types
  return settings
}

/** Bytes of `1048576`, `"20MB"` and the like (decimal units, as in Supabase Storage); `null` and `0` are no limit. */
export function readFileSize(value: number | string | null): number | null {
  if (value === null || value === 0) return null
  if (typeof value === 'number') return value
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*(gb|mb|kb|b)?$/i.exec(value.trim())
  if (match === null) throw storageProblems.invalidFileSizeLimit()
  const bytes = Math.round(Number(match[1]) * (UNIT_BYTES[(match[2] ?? 'b').toLowerCase()] ?? 1))
  return bytes === 0 ? null : bytes
}

/** Whether `contentType` is allowed by patterns such as `image/png`, `image/*`; parameters and case do not matter. */
export function allowsMimeType(patterns: readonly string[] | null, contentType: string): boolean {
  if (patterns === null || patterns.length === 0) return true
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? ''
  return patterns.some((pattern) => {
    const wanted = pattern.toLowerCase()
    if (wanted === '*/*' || wanted === type) return true
    return wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1))
  })
}

/** Whether a caller may write at all: said before a body is taken, so that a refusal costs no upload. */
export function mayWrite(policy: BucketPolicy, role: TenantRole, subject: string | null): boolean {
  if (role === 'service_role' || policy === 'none') return true
  return role === 'authenticated' && subject !== null
}
