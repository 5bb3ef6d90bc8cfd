import { join } from 'node:path'
import { z } from 'zod'
import { url, wholeNumber } from '../../runtime/config.ts'
import type { BlobStore } from './blobs/blob-store.ts'
import { FileBlobStore } from './blobs/file-blob-store.ts'

/**
 * Settings of storage, to be spread into the backend's configuration. Without `AERODB_STORAGE_S3_BUCKET` files lie in
 * `<data dir>/files`.
 */
export const storageConfigShape = {
  AERODB_STORAGE_MAX_OBJECT_BYTES: wholeNumber(1, 5_000_000_000).default(5_000_000_000),
  AERODB_STORAGE_S3_BUCKET: z.string().optional(),
  AERODB_STORAGE_S3_REGION: z.string().default('us-east-1'),
  AERODB_STORAGE_S3_ENDPOINT: url('http:', 'https:').optional(),
  AERODB_STORAGE_S3_PREFIX: z
    .string()
    .regex(/^[\w./-]*$/, 'must hold letters, digits, `_`, `.`, `-` and `/` only')
    .default(''),
  AERODB_STORAGE_S3_ACCESS_KEY_ID: z.string().optional(),
  AERODB_STORAGE_S3_SECRET_ACCESS_KEY: z.string().optional(),
}
const storageConfigSchema = z.object(storageConfigShape)
export type StorageConfig = z.output<typeof storageConfigSchema>

/** The blob store that the configuration names. Without keys of its own, S3 is reached with AWS's usual credentials. */
export async function openBlobStore(config: StorageConfig, dataDirectory: string): Promise<BlobStore> {
  const bucket = config.AERODB_STORAGE_S3_BUCKET
  if (bucket === undefined) return new FileBlobStore(join(dataDirectory, 'files'))
  // The S3 client is large: who does not use it does not load it.
  const { S3BlobStore } = await import('./blobs/s3-blob-store.ts')
  const accessKeyId = config.AERODB_STORAGE_S3_ACCESS_KEY_ID
  const secretAccessKey = config.AERODB_STORAGE_S3_SECRET_ACCESS_KEY
  const endpoint = config.AERODB_STORAGE_S3_ENDPOINT
  return new S3BlobStore({
    bucket,
    region: config.AERODB_STORAGE_S3_REGION,
    prefix: config.AERODB_STORAGE_S3_PREFIX,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  })
}
