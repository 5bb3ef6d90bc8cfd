import type { Cluster, Redis } from 'ioredis'
import type { RedisClient } from '../runtime/redis.ts'
import { type DirectoryKind, documentKey } from './directory-keys.ts'

/** Keys that one step of a scan looks at. */
const STEP = 1_000

/** A document as it lies in Redis, whoever wrote it there. */
export type StoredDocument = { kind: DirectoryKind; key: string; version: number; document: string }

/**
 * Every document of the directory, found by their keys and not by what was announced: one that was put there by somebody else is
 * among them. @throws when Redis is away.
 */
export async function listDocuments(redis: RedisClient): Promise<StoredDocument[]> {
  // With a prefix of `documentKey` for every key.
  const shape = documentKey('tenant', '*').replace('tenant', '*')
  const nodes: Redis[] = redis.isCluster ? (redis as unknown as Cluster).nodes('master') : [redis]
  const found = new Map<string, StoredDocument>()
  for (const node of nodes) {
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, keys] = await node.scan(cursor, 'MATCH', shape.replaceAll('{', '\\{'), 'COUNT', STEP)
      cursor = next
      const answers = await Promise.all(keys.map((key) => node.hmget(key, 'version', 'document')))
      keys.forEach((key, i) => {
        const name = /:(tenant|server):\{(.*)\}$/.exec(key)
        const [version, document] = answers[i] ?? []
        if (name?.[1] === undefined || version == null || document == null) return
        found.set(key, { kind: name[1] as DirectoryKind, key: name[2] ?? '', version: Number(version), document })
      })
    }
  }
  return [...found.values()]
}
