import type { IncomingMessage } from 'node:http'
import { Problem } from '../runtime/problem.ts'

/** Reads a request's body as text. @throws Problem 413 `body_too_large`, 400 `body_incomplete`. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > maxBytes) return Promise.reject(bodyTooLarge(maxBytes))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= maxBytes) chunks.push(chunk)
      else {
        chunks.length = 0
        reject(bodyTooLarge(maxBytes))
      }
    })
    request.on('end', () =>
      resolve(chunks.length === 1 ? (chunks[0]?.toString('utf8') ?? '') : Buffer.concat(chunks).toString('utf8')),
    )
    request.on('error', (cause) => reject(bodyIncomplete(cause)))
    request.on('aborted', () => reject(bodyIncomplete(undefined)))
  })
}

/** @returns the problem 413 `body_too_large`. */
export function bodyTooLarge(maxBytes: number): Problem {
  return new Problem(413, 'body_too_large', {
    detail: `The body is larger than ${maxBytes} bytes.`,
    headers: { Connection: 'close' },
  })
}

/** @returns the problem 400 `body_incomplete`. */
export function bodyIncomplete(cause: unknown): Problem {
  return new Problem(400, 'body_incomplete', { cause })
}
