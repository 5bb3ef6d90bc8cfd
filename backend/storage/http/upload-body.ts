import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { storageProblems } from '../errors.ts'
import type { UploadBody } from '../steps/upload-object.ts'
import { header, type StorageCall } from './call.ts'
import { readCacheControl, readContentEncoding, readMimeType, readUserMetadata } from './object-headers.ts'

const FORM_LIMITS = { fields: 50, fieldSize: 256 * 1024, files: 1, parts: 60, headerPairs: 50, headerSize: 16 * 1024 }

/** The body of an upload as storage-js sends it: a form with a file (browsers, Blobs), or the bytes themselves. */
export function readUploadBody(call: StorageCall): Promise<UploadBody> {
  const contentType = header(call, 'content-type') ?? ''
  return /^multipart\/form-data\b/i.test(contentType) ? readForm(call, contentType) : readRaw(call)
}

async function readRaw(call: StorageCall): Promise<UploadBody> {
  const length = header(call, 'content-length')
  const metadata = header(call, 'x-metadata')
  return {
    stream: call.request,
    knownBytes: length === undefined ? null : Number(length),
    mimetype: readMimeType(header(call, 'content-type')),
    cache_control: readCacheControl(header(call, 'cache-control')),
    content_encoding: readContentEncoding(header(call, 'content-encoding')),
    user_metadata: readUserMetadata(
      metadata === undefined ? undefined : Buffer.from(metadata, 'base64').toString('utf8'),
    ),
  }
}

/**
 * Reads a form up to its file and leaves the file to be read. Fields count when they come before the file, as storage-js
 * sends them; what follows the file is ignored.
 */
function readForm(call: StorageCall, contentType: string): Promise<UploadBody> {
  const { request } = call
  return new Promise((resolve, reject) => {
    const fields = new Map<string, string>()
    const refuse = (cause?: unknown) => {
      request.unpipe()
      reject(storageProblems.invalidRequest('The form cannot be read.', cause))
    }
    let form: BusboyInstance
    try {
      form = new Busboy({ headers: { 'content-type': contentType }, limits: FORM_LIMITS })
    } catch (fault) {
      refuse(fault)
      return
    }
    form.on('field', (name, value, _nameCut, valueCut) => {
      if (valueCut) refuse()
      else fields.set(name ?? '', value)
    })
    form.on('file', (_name, file, _fileName, _encoding, mimeType) => {
      // A client that goes away in the middle of the file ends the request, but not the form.
      request.once('close', () => {
        if (!request.complete) file.destroy(new Error('The form ended early'))
      })
      file.on('error', () => {})
      try {
        resolve({
          stream: file,
          knownBytes: null,
          mimetype: readMimeType(fields.get('contentType') ?? mimeType),
          cache_control: readCacheControl(fields.get('cacheControl')),
          content_encoding: readContentEncoding(fields.get('contentEncoding')),
          user_metadata: readUserMetadata(fields.get('metadata')),
        })
      } catch (fault) {
        request.unpipe()
        reject(fault)
      }
    })
    form.on('error', refuse)
    form.on('finish', () => reject(storageProblems.noContent()))
    request.once('close', () => {
      if (!request.complete) reject(storageProblems.clientGone(new Error('The form ended early')))
    })
    request.pipe(form)
  })
}
