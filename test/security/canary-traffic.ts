import { randomBytes, randomInt } from 'node:crypto'
import { connect } from 'node:net'
import { Agent, request } from 'undici'
import type { Tenant, TestPlatform } from '../support/platform.ts'

/** A tenant with one row `notes.title`, which is its canary and nobody else's. */
export type CanaryTenant = Tenant & { canary: string }

const CANARY = /canary-[0-9a-f]{24}/g

export const makeCanary = (): string => `canary-${randomBytes(12).toString('hex')}`

/** One request: `own` names the canary that a 200 must hold, `mayEcho` one that the caller itself named. */
type Step = {
  kind: string
  host: string
  path: string
  method?: string
  headers: Record<string, string>
  body?: string
  own?: string
  abortAfterMs?: number
}

export type Tally = {
  requests: number
  byKind: Record<string, number>
  byStatus: Record<string, number>
  /** Answers with a canary that is not the caller's. */
  leaks: string[]
  /** A tenant's own read that was answered 200 without its own row. */
  lost: string[]
}

/**
 * Random concurrent traffic of many tenants over few connections: reads in every form, writes, errors of every kind, guesses at
 * another's row, keys at the wrong host, requests that are given up in the middle. Every byte of every answer is searched for canaries.
 */
export class CanaryTraffic {
  readonly tally: Tally = { requests: 0, byKind: {}, byStatus: {}, leaks: [], lost: [] }
  readonly #platform: TestPlatform
  readonly #tenants: readonly CanaryTenant[]
  readonly #byName: ReadonlyMap<string, CanaryTenant>
  readonly #agent = new Agent({ connections: 32, pipelining: 1 })

  constructor(platform: TestPlatform, tenants: readonly CanaryTenant[]) {
    this.#platform = platform
    this.#tenants = tenants
    this.#byName = new Map(tenants.map((tenant) => [tenant.name, tenant]))
  }

  /** Sends until `untilMs` (of `performance.now()`), so many requests at once. */
  async run(untilMs: number, concurrency: number): Promise<void> {
    const sender = async () => {
      while (performance.now() < untilMs) await this.#send(this.#randomStep())
    }
    await Promise.all(Array.from({ length: concurrency }, sender))
  }

  /** Every tenant reads its own row once. */
  async readAll(concurrency: number): Promise<void> {
    let next = 0
    const sender = async () => {
      for (let tenant = this.#tenants[next++]; tenant !== undefined; tenant = this.#tenants[next++])
        await this.#send(this.#ownRead(tenant, 'the last read'))
    }
    await Promise.all(Array.from({ length: concurrency }, sender))
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }

  #randomTenant(): CanaryTenant {
    // Half of the traffic falls on a few, so that there is contention within a tenant too.
    const span = randomInt(2) === 0 ? Math.min(20, this.#tenants.length) : this.#tenants.length
    return this.#tenants[randomInt(span)] as CanaryTenant
  }

  #ownRead(tenant: CanaryTenant, kind: string): Step {
    const key = randomInt(3) === 0 ? tenant.keys.anon : tenant.keys.service
    const headers = { apikey: key, authorization: `Bearer ${key}` }
    return { kind, host: tenant.name, path: '/rest/v1/notes?title=like.canary-*', headers, own: tenant.canary }
  }

  #randomStep(): Step {
    const tenant = this.#randomTenant()
    const other = this.#randomTenant()
    const { name: host, canary } = tenant
    const key = tenant.keys.service
    const headers = { apikey: key, authorization: `Bearer ${key}` }
    const get = (kind: string, path: string, more: Partial<Step> = {}): Step => ({ kind, host, path, headers, ...more })
    const send = (
      kind: string,
      method: string,
      path: string,
      body: unknown,
      prefer = 'return=representation',
    ): Step => ({
      kind,
      host,
      path,
      method,
      headers: { ...headers, 'content-type': 'application/json', prefer },
      body: JSON.stringify(body),
    })
    const extra = `extra-${randomBytes(6).toString('hex')}`
    const steps: (() => Step)[] = [
      () => this.#ownRead(tenant, 'read'),
      () => this.#ownRead(tenant, 'read'),
      () => this.#ownRead(tenant, 'read'),
      () => get('csv', '/rest/v1/notes', { headers: { ...headers, accept: 'text/csv' } }),
      () => get('count', '/rest/v1/notes?select=title', { headers: { ...headers, prefer: 'count=exact' } }),
      () => get('page', '/rest/v1/notes?order=title.desc&limit=3', { headers: { ...headers, range: '0-1' } }),
      () => get('described', '/rest/v1/'),
      () => get('collections', '/schema/v1/collections'),
      () => send('insert', 'POST', '/rest/v1/notes', { title: extra, meta: { of: canary } }),
      () => send('update', 'PATCH', '/rest/v1/notes?title=like.extra-*', { meta: { of: canary, at: extra } }),
      () => send('delete', 'DELETE', '/rest/v1/notes?title=like.extra-*', {}),
      () =>
        send('upsert', 'POST', '/rest/v1/notes?on_conflict=title', { title: canary }, 'resolution=merge-duplicates'),
      () => send('taken', 'POST', '/rest/v1/notes', { title: canary }),
      () => send('null', 'POST', '/rest/v1/notes', { title: null }),
      () => send('half', 'POST', '/rest/v1/notes', [{ title: extra }, { title: canary }, { title: null }]),
      () => get('bad value', '/rest/v1/notes?id=eq.x'),
      () => get('bad name', `/rest/v1/notes?select=nothing`),
      () => get('bad grammar', '/rest/v1/notes?or=((('),
      () => get('no table', '/rest/v1/absent'),
      () => get('guess', `/rest/v1/notes?title=eq.${other.canary}`),
      () => get('guess', `/rest/v1/notes?or=(title.eq.${other.canary},title.eq.x)`),
      () => get('wrong host', '/rest/v1/notes', { host: other.name }),
      () => ({ ...this.#ownRead(tenant, 'given up'), abortAfterMs: randomInt(15) }),
      () => ({
        ...send('given up', 'POST', '/rest/v1/notes', { title: extra, meta: { of: canary } }),
        abortAfterMs: randomInt(15),
      }),
      () => get('broken off', '/rest/v1/notes', { abortAfterMs: -1 }),
    ]
    return (steps[randomInt(steps.length)] as () => Step)()
  }

  async #send(step: Step): Promise<void> {
    const { tally } = this
    tally.requests++
    tally.byKind[step.kind] = (tally.byKind[step.kind] ?? 0) + 1
    const owner = this.#byName.get(step.host)
    const status = step.abortAfterMs === -1 ? await this.#breakOff(step) : await this.#ask(step, owner)
    tally.byStatus[status] = (tally.byStatus[status] ?? 0) + 1
  }

  async #ask(step: Step, owner: CanaryTenant | undefined): Promise<string> {
    const { kind, path, host, body, own, abortAfterMs } = step
    try {
      const response = await request(this.#platform.endpoints.gateway + path, {
        method: (step.method ?? 'GET') as 'GET',
        headers: { host: `${host}.${this.#platform.endpoints.domain}`, ...step.headers },
        dispatcher: this.#agent,
        ...(body === undefined ? {} : { body }),
        ...(abortAfterMs === undefined ? {} : { signal: AbortSignal.timeout(abortAfterMs) }),
      })
      // Which repeats the request's own address.
      const { 'content-location': _, ...headers } = response.headers
      const text = JSON.stringify(headers) + (await response.body.text())
      this.#search(step, owner, response.statusCode, text)
      if (own !== undefined && response.statusCode === 200 && !text.includes(own))
        this.tally.lost.push(`${kind} ${host} ${path}: ${text.slice(0, 300)}`)
      return String(response.statusCode)
    } catch (fault) {
      return (fault as Error).name === 'TimeoutError' ? 'given up' : ((fault as { code?: string }).code ?? 'broken')
    }
  }

  #search(step: Step, owner: CanaryTenant | undefined, status: number, text: string): void {
    // A key of another tenant opens nothing at all; what the caller itself named may come back in an error.
    const allowed =
      step.kind === 'wrong host' && !step.headers.apikey?.includes(owner?.keys.service ?? ' ') ? '' : owner?.canary
    for (const [found] of text.matchAll(CANARY))
      if (found !== allowed && !(status >= 400 && decodeURIComponent(step.path).includes(found)))
        this.tally.leaks.push(`${step.kind} ${step.host} ${step.path}: ${status} held ${found}`)
  }

  /** Half a request, and the connection is gone. */
  #breakOff({ path, host, headers }: Step): Promise<string> {
    return new Promise((resolve) => {
      const { port, hostname } = new URL(this.#platform.endpoints.gateway)
      const socket = connect(Number(port), hostname, () => {
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
        const head = `GET ${path} HTTP/1.1\r\nHost: ${host}.${this.#platform.endpoints.domain}\r\n${lines.join('')}\r\n`
        socket.write(head.slice(0, randomInt(2) === 0 ? head.length : head.length - 3), () =>
          setTimeout(() => socket.destroy(), randomInt(10)),
        )
      })
      socket.on('error', () => {})
      socket.once('close', () => resolve('given up'))
    })
  }
}
