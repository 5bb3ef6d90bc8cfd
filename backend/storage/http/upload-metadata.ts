import { storageProblems } from '../errors.ts'
import type { ResumableUpload } from '../stores/resumable-store.ts'

const KEY = /^[\x21-\x2b\x2d-\x7e]+$/
const VALUE = /^[A-Za-z0-9+/]*={0,2}$/

/** Reads an Upload-Metadata field (TUS 1.0.0, creation): pairs of a key and a value in base 64, parted by commas. */
export function readUploadMetadata(field: string | undefined): Map<string, string> {
  const entries = new Map<string, string>()
  for (const pair of (field ?? '').split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(' ')
    if (key === '') continue
    if (rest.length > 0 || !KEY.test(key) || !VALUE.test(value) || entries.has(key))
      throw storageProblems.invalidRequest('Upload-Metadata is malformed.')
    entries.set(key, Buffer.from(value, 'base64').toString('utf8'))
  }
  return entries
}

/** What an upload was created with, for HEAD. */
export function writeUploadMetadata(upload: ResumableUpload): string {
  const entries: [string, string][] = [
    ['bucketName', upload.bucket],
    ['objectName', upload.name],
    ['contentType', upload.mimetype],
    ['cacheControl', upload.cache_control],
  ]
  if (upload.user_metadata !== null) entries.push(['metadata', JSON.stringify(upload.user_metadata)])
  return entries.map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`).join(',')
}
