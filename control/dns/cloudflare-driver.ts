import { z } from 'zod'
import {
  type DnsDriver,
  DnsFault,
  isRecordType,
  normaliseName,
  normaliseValue,
  quoteText,
  type RecordChange,
  type RecordSet,
} from './dns-driver.ts'
import { askProvider } from './provider-http.ts'

export type CloudflareOptions = {
  /** The API's root with its version. */
  url: string
  /** An API token with the permission DNS Write on this zone only. */
  token: string
  zoneId: string
  /** Whether hosts go through Cloudflare's proxy; their time to live is then 1, which means "automatic". */
  proxied: boolean
}

const recordSchema = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  content: z.string().optional(),
  ttl: z.number(),
  proxied: z.boolean().optional(),
})
type CloudflareRecord = z.output<typeof recordSchema>

const listSchema = z.object({
  success: z.literal(true),
  result: z.array(recordSchema),
  result_info: z.object({ total_pages: z.number().optional() }).nullish(),
})
const batchSchema = z.object({ success: z.literal(true) })
const errorSchema = z.object({ errors: z.array(z.object({ code: z.number(), message: z.string() })) })

const PAGE_SIZE = 1_000
/** What one batch may hold on every plan. */
const MAX_OPERATIONS = 200

class Batch {
  readonly deletes: object[] = []
  readonly puts: object[] = []
  readonly posts: object[] = []

  get size(): number {
    return this.deletes.length + this.puts.length + this.posts.length
  }

  add(other: Batch): void {
    this.deletes.push(...other.deletes)
    this.puts.push(...other.puts)
    this.posts.push(...other.posts)
  }
}

/**
 * Cloudflare, by its API v4 (https://developers.cloudflare.com/api/resources/dns/subresources/records/). A record there
 * is one value with an id of its own; a batch is one database transaction, its deletions before its writes. The API
 * counts 1 200 calls in five minutes for everything an account does, so a batch does as much as it may.
 */
export class CloudflareDriver implements DnsDriver {
  readonly name = 'cloudflare'
  readonly maxChanges = 60
  readonly #options: CloudflareOptions
  readonly #recordsUrl: string
  readonly #headers: Readonly<Record<string, string>>
  /** The records behind each set that we handed out: their ids are needed to change them. */
  readonly #behind = new WeakMap<RecordSet, readonly CloudflareRecord[]>()

  constructor(options: CloudflareOptions) {
    this.#options = options
    this.#recordsUrl = `${options.url.replace(/\/+$/, '')}/zones/${encodeURIComponent(options.zoneId)}/dns_records`
    this.#headers = { authorization: `Bearer ${options.token}` }
  }

  async list(): Promise<RecordSet[]> {
    return this.#get({})
  }

  async read(names: readonly string[]): Promise<RecordSet[]> {
    const answers = await Promise.all(names.map((name) => this.#get({ 'name.exact': name })))
    return answers.flatMap((sets, i) => sets.filter((set) => set.name === names[i]))
  }

  async apply(changes: readonly RecordChange[]): Promise<void> {
    let batch = new Batch()
    for (const change of changes) {
      const next = this.#toBatch(change)
      if (batch.size > 0 && batch.size + next.size > MAX_OPERATIONS) {
        await this.#send(batch)
        batch = new Batch()
      }
      batch.add(next)
    }
    if (batch.size > 0) await this.#send(batch)
  }

  #toBatch({ before, after }: RecordChange): Batch {
    const batch = new Batch()
    const present = before === undefined ? [] : this.#behind.get(before)
    if (present === undefined) throw new DnsFault('dns_bad_answer', 'The records to change were not read here.')
    const left = new Set(present)
    if (after !== undefined) {
      for (const value of after.values) {
        const same = [...left].find((record) => textOf(record, after) === value)
        if (same === undefined) batch.posts.push(this.#record(after, value))
        else {
          left.delete(same)
          batch.puts.push({ id: same.id, ...this.#record(after, value) })
        }
      }
    }
    for (const record of left) batch.deletes.push({ id: record.id })
    return batch
  }

  async #send({ deletes, puts, posts }: Batch): Promise<void> {
    const request = {
      method: 'POST' as const,
      url: `${this.#recordsUrl}/batch`,
      headers: this.#headers,
      body: { deletes, puts, posts },
    }
    await askProvider(request, batchSchema, explain)
  }

  #record(set: RecordSet, value: string): object {
    const { name, type, ttlSeconds } = set
    const content = type === 'TXT' ? quoteText(value) : value
    return { name, type, content, ttl: ttlSeconds, ...(type === 'TXT' ? {} : { proxied: this.#options.proxied }) }
  }

  async #get(filter: Readonly<Record<string, string>>): Promise<RecordSet[]> {
    const records: CloudflareRecord[] = []
    for (let page = 1, pages = 1; page <= pages; page++) {
      const query = new URLSearchParams({ ...filter, page: String(page), per_page: String(PAGE_SIZE) })
      const request = { method: 'GET' as const, url: `${this.#recordsUrl}?${query}`, headers: this.#headers }
      const answer = await askProvider(request, listSchema, explain)
      records.push(...answer.result)
      pages = answer.result_info?.total_pages ?? 1
    }
    return this.#toSets(records)
  }

  #toSets(records: readonly CloudflareRecord[]): RecordSet[] {
    const groups = Map.groupBy(records, (record) => `${record.type} ${normaliseName(record.name)}`)
    return [...groups.values()].flatMap((group) => {
      const [first] = group
      if (first === undefined || !isRecordType(first.type)) return []
      const { type } = first
      const isUneven = group.some((record) => record.ttl !== first.ttl)
      const isProxiedWrongly = type !== 'TXT' && group.some((record) => record.proxied !== this.#options.proxied)
      const set: RecordSet = {
        name: normaliseName(first.name),
        type,
        ttlSeconds: first.ttl,
        values: group.map((record) => normaliseValue(type, record.content ?? '')),
        ...(isUneven || isProxiedWrongly ? { needsRewrite: true as const } : {}),
      }
      this.#behind.set(set, group)
      return [set]
    })
  }
}

function textOf(record: CloudflareRecord, like: RecordSet): string {
  return normaliseValue(like.type, record.content ?? '')
}

function explain(body: unknown): string {
  const result = errorSchema.safeParse(body)
  if (!result.success) return 'no reason given'
  return result.data.errors
    .map(({ code, message }) => `${message} (${code})`)
    .join(', ')
    .slice(0, 300)
}
