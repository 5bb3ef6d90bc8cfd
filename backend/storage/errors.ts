import { asProblem, Problem, toProblemDocument } from '../../runtime/problem.ts'

/** The `error` that Supabase Storage gave before it had codes; clients still compare with some of these. */
const LEGACY_ERRORS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Bucket not found',
  NoSuchKey: 'not_found',
  KeyAlreadyExists: 'Duplicate',
  BucketAlreadyExists: 'Duplicate',
  AccessDenied: 'Unauthorized',
  InvalidMimeType: 'invalid_mime_type',
  InvalidRange: 'invalid_range',
  EntityTooLarge: 'Payload too large',
  InvalidBucketName: 'Invalid Input',
}

function problem(status: number, code: string, detail: string, cause?: unknown): Problem {
  return new Problem(status, code, { detail, cause })
}

/** The refusals of /storage/v1, with Supabase Storage's codes, messages and documented statuses. */
export const storageProblems = {
  noSuchBucket: () => problem(404, 'NoSuchBucket', 'Bucket not found'),
  noSuchKey: () => problem(404, 'NoSuchKey', 'Object not found'),
  noSuchUpload: () => problem(404, 'NoSuchUpload', 'Upload not found'),
  noSuchRoute: () => problem(404, 'not_found', 'There is nothing at this address.'),
  bucketExists: () => problem(409, 'BucketAlreadyExists', 'The resource already exists'),
  keyExists: () => problem(409, 'KeyAlreadyExists', 'The resource already exists'),
  bucketNotEmpty: () => problem(409, 'InvalidRequest', 'The bucket you tried to delete is not empty'),
  accessDenied: (detail = 'new row violates row-level security policy') => problem(403, 'AccessDenied', detail),
  invalidBucketName: () => problem(400, 'InvalidBucketName', 'Bucket name invalid'),
  invalidKey: (key: string) => problem(400, 'InvalidKey', `Invalid key: ${printable(key)}`),
  invalidRequest: (detail: string, cause?: unknown) => problem(400, 'InvalidRequest', detail, cause),
  invalidFileSizeLimit: () =>
    problem(400, 'InvalidRequest', 'Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B'),
  unsupportedMediaType: (detail: string) => problem(415, 'InvalidRequest', detail),
  tusVersion: (version: string) =>
    new Problem(412, 'TusError', {
      detail: `Tus-Resumable must be ${version}.`,
      headers: { 'Tus-Version': version },
    }),
  invalidMimeType: (type: string) => problem(415, 'InvalidMimeType', `mime type ${printable(type)} is not supported`),
  invalidToken: () => problem(400, 'InvalidJWT', 'The token is not valid for this address.'),
  expiredToken: () => problem(400, 'ExpiredToken', 'The provided token has expired.'),
  entityTooLarge: () => problem(413, 'EntityTooLarge', 'The object exceeded the maximum allowed size'),
  noContent: () => problem(400, 'InvalidRequest', 'No content provided'),
  bodyStalled: () => problem(408, 'RequestTimeout', 'The body stopped arriving.'),
  clientGone: (cause: unknown) => problem(400, 'Aborted', 'The client closed the connection.', cause),
  uploadOutlived: () => problem(408, 'UploadExpired', 'The upload took too long. Send it again.'),
  uploadConflict: () => problem(409, 'UploadConflict', 'Upload-Offset is not the offset of the upload.'),
  quotaExceeded: () => problem(507, 'storage_quota_exceeded', 'The file storage of this tenant is used up.'),
  transformationUnavailable: () =>
    problem(501, 'ImageTransformationUnavailable', 'Images are served as they were stored; they are not transformed.'),
  notImplemented: (what: string) => problem(501, 'NotImplemented', `${what} is not available here.`),
  invalidRange: (sizeBytes: number) =>
    new Problem(416, 'InvalidRange', {
      detail: 'The requested range is outside the object.',
      headers: { 'Content-Range': `bytes */${sizeBytes}` },
    }),
}

/**
 * The body of a refusal: a problem document (contract, section 4) that is also Supabase's `{statusCode, error, message}`, so
 * that both kinds of clients read it.
 */
export function storageErrorBody(fault: unknown, requestId: string): Record<string, unknown> {
  const document = toProblemDocument(fault, requestId)
  return {
    ...document,
    statusCode: String(document.status),
    error: LEGACY_ERRORS[document.code] ?? document.code,
    message: document.detail ?? document.title,
  }
}

/**
 * What a fault of the database means here. 42501 is row security refusing a write; 23503 an unknown bucket (or a bucket with
 * objects in it); 23505 a name that is taken.
 */
export function asStorageProblem(fault: unknown): Problem {
  const code = sqlState(fault)
  if (code === '42501') return storageProblems.accessDenied()
  if (code === '23505') return storageProblems.keyExists()
  if (code === '23503') return storageProblems.noSuchBucket()
  if (code === '57014')
    return new Problem(503, 'database_busy', {
      detail: 'The statement took too long.',
      headers: { 'Retry-After': '1' },
    })
  // Class 22: a value that Postgres cannot hold, such as U+0000 in a JSON string.
  if (code?.startsWith('22')) return storageProblems.invalidRequest('A value cannot be stored.', fault)
  return asProblem(fault)
}

/** The SQLSTATE of an error that Postgres reported. */
export function sqlState(fault: unknown): string | undefined {
  if (!(fault instanceof Error) || !('code' in fault) || !('severity' in fault)) return undefined
  return typeof fault.code === 'string' ? fault.code : undefined
}

function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/gu, '?')
}
