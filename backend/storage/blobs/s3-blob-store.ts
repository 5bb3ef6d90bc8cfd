import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import type { ByteRange } from '../range.ts'
import { BlobMissingError, type BlobRef, type BlobStore, checkBlobRef, checkTenantId } from './blob-store.ts'

export type S3BlobStoreOptions = {
  bucket: string
  region: string
  /** Only for servers other than AWS. */
  endpoint?: string
  credentials?: { accessKeyId: string; secretAccessKey: string }
  /** In front of every key, for a bucket that serves others too. */
  prefix?: string
}

/** What one upload holds in memory: one part of a multipart upload. */
const PART_BYTES = 8 * 1024 * 1024
/** One at a time: when a source fails, nothing is under way that could come into being after the clean-up. */
const PARTS_IN_FLIGHT = 1

/** Blobs in a bucket of any S3 server, under `<prefix><tenant id>/<version>`. S3 shows an object only when it is whole. */
export class S3BlobStore implements BlobStore {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #prefix: string

  constructor(options: S3BlobStoreOptions) {
    this.#bucket = options.bucket
    this.#prefix = options.prefix ?? ''
    this.#client = new S3Client({
      region: options.region,
      ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
      ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
      // Not every S3 server knows the newer checksums that the client adds by default.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
  }

  async write(ref: BlobRef, source: Readable): Promise<void> {
    const Key = this.#key(ref)
    let sourceFault: Error | undefined
    source.once('error', (fault) => {
      sourceFault = fault
    })
    try {
      await new Upload({
        client: this.#client,
        params: { Bucket: this.#bucket, Key, Body: source },
        partSize: PART_BYTES,
        queueSize: PARTS_IN_FLIGHT,
      }).done()
    } catch (fault) {
      source.destroy()
      throw sourceFault ?? fault
    }
  }

  async read(ref: BlobRef, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && range.last < range.first) return Readable.from([])
    try {
      const answer = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: this.#key(ref),
          ...(range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` }),
        }),
      )
      if (!(answer.Body instanceof Readable)) throw new Error('S3 answered without a body')
      return answer.Body
    } catch (fault) {
      throw isMissing(fault) ? new BlobMissingError(ref, fault) : fault
    }
  }

  /** On the server's side; objects are at most 5 GB here, which is what one S3 copy takes. */
  async copy(from: BlobRef, to: BlobRef): Promise<void> {
    try {
      await this.#client.send(
        new CopyObjectCommand({
          Bucket: this.#bucket,
          Key: this.#key(to),
          CopySource: `${this.#bucket}/${this.#key(from)}`,
        }),
      )
    } catch (fault) {
      throw isMissing(fault) ? new BlobMissingError(from, fault) : fault
    }
  }

  async remove(ref: BlobRef): Promise<void> {
    const key = this.#key(ref)
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }))
    await this.#abortUploads(key)
  }

  async removeTenant(tenantId: string): Promise<void> {
    checkTenantId(tenantId)
    const prefix = `${this.#prefix}${tenantId}/`
    for (;;) {
      const page = await this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix }))
      const keys = (page.Contents ?? []).flatMap((entry) => (entry.Key === undefined ? [] : [{ Key: entry.Key }]))
      if (keys.length === 0) break
      const answer = await this.#client.send(
        new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects: keys, Quiet: true } }),
      )
      const [failed] = answer.Errors ?? []
      if (failed !== undefined) throw new Error(`S3 did not delete an object: ${failed.Code}`)
    }
    await this.#abortUploads(prefix)
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  /** Ends multipart uploads that a killed process left open: their parts cost money until then. */
  async #abortUploads(prefix: string): Promise<void> {
    const page = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix }))
    for (const { Key, UploadId } of page.Uploads ?? []) {
      if (Key?.startsWith(prefix))
        await this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId }))
    }
  }

  #key(ref: BlobRef): string {
    checkBlobRef(ref)
    return `${this.#prefix}${ref.tenantId}/${ref.version}`
  }
}

function isMissing(fault: unknown): boolean {
  return fault instanceof S3ServiceException && (fault.name === 'NoSuchKey' || fault.$metadata.httpStatusCode === 404)
}
