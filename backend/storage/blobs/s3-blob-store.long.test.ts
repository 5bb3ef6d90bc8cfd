import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { startS3 } from '../test-support/s3-server.ts'
import { promiseBlobStore } from './blob-store.conformance.ts'
import { S3BlobStore } from './s3-blob-store.ts'

promiseBlobStore(async () => {
  const server = await startS3()
  const client = new S3Client({ ...server.options, forcePathStyle: true })
  const store = new S3BlobStore(server.options)
  const Bucket = server.options.bucket
  return {
    store,
    count: async () => {
      const objects = await client.send(new ListObjectsV2Command({ Bucket }))
      const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket }))
      return (objects.Contents?.length ?? 0) + (uploads.Uploads?.length ?? 0)
    },
    close: async () => {
      await store.close()
      client.destroy()
      await server.stop()
    },
  }
})
