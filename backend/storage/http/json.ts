import type { z } from 'zod'
import { storageProblems } from '../errors.ts'
import type { StorageCall } from './call.ts'

/** A JSON body may be this long: a thousand long names to delete fit in. */
const MAX_JSON_BYTES = 2 * 1024 * 1024

/** Reads a JSON body, `{}` where there is none. @throws Problem 400, 413. */
export async function readJson(call: StorageCall): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of call.request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_JSON_BYTES) throw storageProblems.entityTooLarge()
    chunks.push(chunk)
  }
  if (bytes === 0) return {}
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw storageProblems.invalidRequest('The body is not JSON.', cause)
  }
}

/** Reads a JSON body of a known shape. @throws Problem 400 that names the first member that is wrong. */
export async function readBody<Shape extends z.ZodType>(call: StorageCall, shape: Shape): Promise<z.output<Shape>> {
  const result = shape.safeParse(await readJson(call))
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw storageProblems.invalidRequest(`body/${issue?.path.join('/') ?? ''} ${issue?.message ?? 'is malformed'}`)
}

export function sendJson(call: StorageCall, body: unknown, status = 200): void {
  const text = JSON.stringify(body)
  call.response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  call.response.end(text)
}
