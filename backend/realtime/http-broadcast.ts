import { z } from 'zod'
import { Problem } from '../../runtime/problem.ts'
import type { RequestContext } from '../../tenancy/request-context.ts'
import type { MessageRate } from './channels/message-rate.ts'
import type { Topics } from './channels/topics.ts'
import type { BroadcastBody } from './wire/message.ts'

/** Where realtime-js sends broadcasts by HTTP: in batches, or one by topic and event (`httpSend`). */
export const BROADCAST_PATH = '/realtime/v1/api/broadcast'
const ONE_PATH = /^\/realtime\/v1\/api\/broadcast\/([^/]+)\/events\/([^/]+)$/

const batchSchema = z.object({
  messages: z
    .array(
      z.object({
        topic: z.string().min(1).max(1_000),
        event: z.string().max(1_000),
        payload: z.unknown(),
        private: z.boolean().nullish(),
      }),
    )
    .min(1)
    .max(1_000),
})

export type HttpBroadcast = {
  /** Without the query. */
  path: string
  query: URLSearchParams
  contentType: string
  body: Buffer
  context: RequestContext
}

type Outgoing = { topic: string; isPrivate: boolean; body: BroadcastBody }

/**
 * Hands on broadcasts that came by HTTP; answer 202 afterwards.
 * @throws Problem 404, 403 `private_channel`, 422 `invalid_broadcast`, 429 `rate_limited`.
 */
export function broadcastByHttp(request: HttpBroadcast, topics: Topics, rate: MessageRate): void {
  const outgoing = request.path === BROADCAST_PATH ? readBatch(request.body) : [readOne(request)]
  for (const { topic, isPrivate } of outgoing) {
    if (!topic.isWellFormed()) throw invalid('messages.topic', 'must be well-formed text')
    if (isPrivate && request.context.role === 'anon')
      throw new Problem(403, 'private_channel', { detail: 'A private channel takes a user token or the service key.' })
  }
  if (!rate.take(outgoing.length))
    throw new Problem(429, 'rate_limited', {
      detail: 'Too many realtime messages per second.',
      headers: { 'Retry-After': '1' },
    })
  for (const { topic, isPrivate, body } of outgoing)
    topics.broadcast({ tenantId: request.context.tenant_id, isPrivate, name: topic }, body)
}

function readBatch(body: Buffer): Outgoing[] {
  const result = batchSchema.safeParse(parseJson(body))
  if (!result.success) {
    const errors = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
    throw new Problem(422, 'invalid_broadcast', { detail: 'The body is not a list of broadcasts.', errors })
  }
  return result.data.messages.map(({ topic, event, payload, private: isPrivate }) => ({
    topic,
    isPrivate: isPrivate ?? false,
    body: { event, encoding: 'json', bytes: Buffer.from(JSON.stringify(payload ?? {})) },
  }))
}

function readOne({ path, query, contentType, body }: HttpBroadcast): Outgoing {
  const match = ONE_PATH.exec(path)
  const topic = decode(match?.[1])
  const event = decode(match?.[2])
  if (topic === undefined || event === undefined)
    throw new Problem(404, 'not_found', { detail: 'There is nothing at this address.' })
  for (const name of query.keys()) if (name.startsWith('persist')) throw invalid(name, 'broadcasts are not stored here')
  const isBinary = contentType.startsWith('application/octet-stream')
  if (!isBinary) parseJson(body)
  return {
    topic,
    isPrivate: query.get('private') === 'true',
    body: { event, encoding: isBinary ? 'binary' : 'json', bytes: body },
  }
}

function decode(segment: string | undefined): string | undefined {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    throw invalid('', 'must be JSON')
  }
}

function invalid(path: string, message: string): Problem {
  return new Problem(422, 'invalid_broadcast', {
    detail: 'The broadcast cannot be read.',
    errors: [{ path, message }],
  })
}
