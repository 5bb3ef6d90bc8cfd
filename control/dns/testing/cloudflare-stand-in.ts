import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { isIPv4, isIPv6 } from 'node:net'
import { text } from 'node:stream/consumers'

type StoredRecord = { id: string; name: string; type: string; content: string; ttl: number; proxied: boolean }
type Batch = Partial<Record<'deletes' | 'patches' | 'puts' | 'posts', Partial<StoredRecord>[]>>

class Refusal extends Error {
  readonly status: number
  readonly code: number
  constructor(status: number, code: number, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/**
 * A stand-in for Cloudflare's API, written from its public documentation (DNS records: list, batch; errors; rate limits),
 * because the real one cannot be had in a test. It proves that we send what is documented, not that Cloudflare does it.
 */
export class CloudflareStandIn {
  readonly token = randomBytes(20).toString('hex')
  readonly zoneId = randomBytes(16).toString('hex')
  #records: StoredRecord[] = []
  #server: Server | undefined
  #rateLimited = 0
  #pageLimit = 2
  calls = 0
  url = ''

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.calls++
      void text(request)
        .then((body) =>
          this.#answer(
            request.method ?? '',
            new URL(request.url ?? '/', 'http://x'),
            request.headers.authorization,
            body,
          ),
        )
        .then((result) => ({ status: 200, headers: {}, body: { success: true, errors: [], messages: [], ...result } }))
        .catch((fault: unknown) => {
          const refusal = fault instanceof Refusal ? fault : new Refusal(500, 10_000, String(fault))
          const errors = [{ code: refusal.code, message: refusal.message }]
          const headers = refusal.status === 429 ? { 'retry-after': '7' } : {}
          return { status: refusal.status, headers, body: { success: false, errors, messages: [], result: null } }
        })
        .then(({ status, headers, body }) =>
          response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body)),
        )
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/client/v4`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  /** Answers the next `count` calls with 429. */
  limitNext(count: number): void {
    this.#rateLimited = count
  }

  get records(): readonly StoredRecord[] {
    return this.#records
  }

  empty(): void {
    this.#records = []
  }

  /** Changes the zone behind a driver's back. */
  put(name: string, type: string, ttl: number, values: readonly string[], proxied = false): void {
    this.#records = this.#records.filter((record) => record.name !== name || record.type !== type)
    for (const content of values)
      this.#records.push({ id: randomBytes(16).toString('hex'), name, type, content, ttl, proxied })
  }

  /** What the zone would answer: values of this name and type. */
  resolve(name: string, type: string): string[] {
    return this.#records.filter((record) => record.name === name && record.type === type).map(({ content }) => content)
  }

  async #answer(method: string, url: URL, authorization: string | undefined, body: string): Promise<object> {
    if (authorization !== `Bearer ${this.token}`) throw new Refusal(403, 9109, 'Invalid access token')
    if (this.#rateLimited-- > 0) throw new Refusal(429, 971, 'Please wait and consider throttling your request speed')
    const path = url.pathname.replace('/client/v4', '')
    if (method === 'GET' && path === `/zones/${this.zoneId}/dns_records`) return this.#list(url.searchParams)
    if (method === 'POST' && path === `/zones/${this.zoneId}/dns_records/batch`)
      return this.#batch(JSON.parse(body) as Batch)
    throw new Refusal(404, 7003, `Could not route to ${path}`)
  }

  /** The pages are kept tiny, so that a client that reads the first one only is found out. */
  #list(query: URLSearchParams): object {
    const name = query.get('name.exact')
    const found = this.#records.filter((record) => name === null || record.name === name)
    const page = Number(query.get('page') ?? 1)
    const size = Math.min(Number(query.get('per_page') ?? 100), this.#pageLimit)
    const result = found.slice((page - 1) * size, page * size)
    const pages = Math.ceil(found.length / size)
    return {
      result,
      result_info: { page, per_page: size, count: result.length, total_count: found.length, total_pages: pages },
    }
  }

  /** One transaction: deletes, patches, puts, posts, in this order. */
  #batch(batch: Batch): object {
    const { deletes = [], patches = [], puts = [], posts = [] } = batch
    if (deletes.length + patches.length + puts.length + posts.length > 200)
      throw new Refusal(400, 81_061, 'Too many operations in one batch')
    let next = [...this.#records]
    const indexOf = (id: string | undefined) => {
      const index = next.findIndex((record) => record.id === id)
      if (index < 0) throw new Refusal(404, 81_044, 'Record does not exist.')
      return index
    }
    for (const { id } of deletes) next = next.toSpliced(indexOf(id), 1)
    for (const put of [...patches, ...puts]) {
      const index = indexOf(put.id)
      const [old] = next.splice(index, 1)
      next.splice(index, 0, checked({ ...old, ...put } as StoredRecord, next))
    }
    for (const post of posts) {
      const id = randomBytes(16).toString('hex')
      next.push(checked({ ttl: 1, proxied: false, ...post, id } as StoredRecord, next))
    }
    this.#records = next
    return { result: { deletes, patches, puts, posts } }
  }
}

function checked(record: StoredRecord, others: readonly StoredRecord[]): StoredRecord {
  const beside = others.filter((other) => other.name === record.name)
  const isAddress = (type: string) => type === 'A' || type === 'AAAA'
  if (record.type === 'A' && !isIPv4(record.content))
    throw new Refusal(400, 9005, 'Content for A record must be a valid IPv4 address.')
  if (record.type === 'AAAA' && !isIPv6(record.content))
    throw new Refusal(400, 9006, 'Content for AAAA record must be a valid IPv6 address.')
  if (record.ttl !== 1 && (record.ttl < 60 || record.ttl > 86_400))
    throw new Refusal(400, 9021, 'Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.')
  if (
    beside.some((other) =>
      record.type === 'CNAME'
        ? other.type === 'CNAME' || isAddress(other.type)
        : isAddress(record.type) && other.type === 'CNAME',
    )
  )
    throw new Refusal(400, 81_053, 'An A, AAAA, or CNAME record with that host already exists.')
  if (beside.some((other) => other.type === record.type && other.content === record.content))
    throw new Refusal(400, 81_058, 'An identical record already exists.')
  return record.proxied ? { ...record, ttl: 1 } : record
}
