import { storageProblems } from '../errors.ts'

const DEFAULT_MIME_TYPE = 'application/octet-stream'
const MIME_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+[\t\x20-\x7e]*$/
const CONTENT_ENCODING = /^[\w-]+(?:, ?[\w-]+)*$/
const MAX_FIELD_LENGTH = 256

/** A media type that may be sent back as it is. @throws Problem 400. */
export function readMimeType(value: string | undefined): string {
  const type = value?.trim() ?? ''
  if (type === '') return DEFAULT_MIME_TYPE
  if (type.length > MAX_FIELD_LENGTH || !MIME_TYPE.test(type))
    throw storageProblems.invalidRequest('Invalid content type')
  return type
}

/** A Cache-Control field, from the field itself or from the seconds that forms carry. @throws Problem 400. */
export function readCacheControl(value: string | undefined): string {
  const text = value?.trim() ?? ''
  if (text === '') return 'no-cache'
  if (/^\d{1,10}$/.test(text)) return `max-age=${text}`
  if (text.length > MAX_FIELD_LENGTH || !/^[\t\x20-\x7e]+$/.test(text))
    throw storageProblems.invalidRequest('Invalid cache control')
  return text
}

/** The encoding in which the bytes are stored and given back. @throws Problem 400. */
export function readContentEncoding(value: string | undefined): string | null {
  const text = value?.trim().toLowerCase() ?? ''
  if (text === '' || text === 'identity' || text === 'aws-chunked') return null
  if (text.length > MAX_FIELD_LENGTH || !CONTENT_ENCODING.test(text))
    throw storageProblems.invalidRequest('Invalid content encoding')
  return text
}

/** The caller's own metadata: a JSON object. @throws Problem 400. */
export function readUserMetadata(json: string | undefined): Record<string, unknown> | null {
  if (json === undefined || json === '') return null
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw storageProblems.invalidRequest('The metadata is not JSON.', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw storageProblems.invalidRequest('The metadata is not a JSON object.')
  return value as Record<string, unknown>
}
