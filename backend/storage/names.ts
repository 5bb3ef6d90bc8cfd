import { storageProblems } from './errors.ts'

/** What Supabase Storage takes as a bucket's name: the characters that S3 calls safe, at most 100, no slash. */
const BUCKET_NAME = /^[\w!.*'() &$=@;:+,?-]{1,100}$/

/**
 * What must not be in an object's name, as in Supabase Storage: control characters, lone surrogates and noncharacters, the ASCII
 * characters that S3 advises against, and invisible or direction-changing characters, with which one name can pose as another (UTS #55).
 */
const FORBIDDEN_IN_KEY =
  /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}#[\]{}^`"<>\\|%~\u061C\u200B\u200E\u200F\u2028\u2029\u202A-\u202E\u2060\u2066-\u2069\uFEFF]|\u034F/u

/** A path segment that URL parsers and mirrors would resolve. */
const RELATIVE_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/

/** As S3: an object's name is at most this long in UTF-8. */
export const MAX_KEY_BYTES = 1024

export function isValidBucketName(name: string): boolean {
  return BUCKET_NAME.test(name) && !RELATIVE_SEGMENT.test(name)
}

/**
 * True for a name that an object may have. Names are compared code point by code point: they are not normalised and not
 * case-folded, and they never become file names, so nothing else about them can do harm.
 */
export function isValidKey(key: string): boolean {
  return (
    key !== '' &&
    key.length <= MAX_KEY_BYTES &&
    !FORBIDDEN_IN_KEY.test(key) &&
    !RELATIVE_SEGMENT.test(key) &&
    Buffer.byteLength(key) <= MAX_KEY_BYTES
  )
}

/** @throws Problem 400 `InvalidBucketName`. */
export function checkBucketName(name: unknown): string {
  if (typeof name !== 'string' || !isValidBucketName(name)) throw storageProblems.invalidBucketName()
  return name
}

/** @throws Problem 400 `InvalidKey`. */
export function checkKey(key: unknown): string {
  if (typeof key !== 'string' || !isValidKey(key)) throw storageProblems.invalidKey(typeof key === 'string' ? key : '')
  return key
}

/** The last segment of an object's name. */
export function baseName(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}
