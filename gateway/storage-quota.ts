import { Problem } from '../runtime/problem.ts'
import type { Exchange } from './exchange.ts'

/**
 * Step 4: writes of a tenant whose storage is used up, as published with its snapshot. Reads and deletes go on; functions
 * and SQL may do either, so the backend decides on them. It comes before the quota, so that a refused write consumes none.
 */
export function checkStorageQuota(exchange: Exchange): undefined {
  const { method, path, tenant } = exchange
  if (tenant === undefined || method === 'GET' || method === 'HEAD' || method === 'DELETE') return
  const { storage_exceeded, file_storage_exceeded } = tenant.snapshot
  if (storage_exceeded && writesDocuments(path)) throw exceeded('storage_bytes')
  if (file_storage_exceeded && writesFiles(method, path)) throw exceeded('file_storage_bytes')
}

function writesDocuments(path: string): boolean {
  if (path.startsWith('/rest/v1/')) return !path.startsWith('/rest/v1/rpc/')
  return path.startsWith('/schema/v1/')
}

/** Uploads and copies; listing, signing and moving take no room, nor do pieces of an upload whose length was reserved. */
function writesFiles(method: string, path: string): boolean {
  if (path.startsWith('/storage/v1/upload/')) return method === 'POST'
  if (!path.startsWith('/storage/v1/object/')) return false
  if (method === 'PUT') return true
  return !/^\/storage\/v1\/object\/(?:list(?:-v2)?|sign|info|move)(?:\/|$)/.test(path) || isSignedUpload(path)
}

function isSignedUpload(path: string): boolean {
  return path.startsWith('/storage/v1/object/upload/sign/')
}

function exceeded(quota: string): Problem {
  return new Problem(507, 'storage_quota_exceeded', {
    detail: `The tenant's ${quota} quota is used up; reads and deletes still work.`,
  })
}
