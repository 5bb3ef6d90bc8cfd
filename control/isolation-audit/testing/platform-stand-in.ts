import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { makeId } from '../../../runtime/ids.ts'
import { makeKey } from '../../../tenancy/key.ts'

/** How the stand-in's walls fail. */
export type Leak =
  | 'none'
  | 'keys open every tenant'
  | 'rows are shared'
  | 'rows can be given away'
  | 'the context is believed'

type Tenant = { id: string; name: string; anon: string; service: string; rows: Record<string, string>[] }

/**
 * As much of the platform as canary probes ask of it, written from the public contract, with walls that can be taken away: to
 * see that the probes see it. The probes run against the real platform in the acceptance tests.
 */
export class PlatformStandIn {
  readonly platformKey = makeKey('platform')
  readonly tenants: Tenant[] = []
  readonly #leak: Leak
  #server: Server | undefined
  url = ''

  constructor(leak: Leak) {
    this.#leak = leak
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        const [status, answer] = this.#answer(request, body === '' ? undefined : JSON.parse(body))
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  #answer(request: IncomingMessage, body: Record<string, string> | undefined): [number, unknown] {
    const [host = ''] = (request.headers.host ?? '').split('.')
    const { pathname } = new URL(request.url ?? '/', 'http://x')
    const key = (request.headers.authorization ?? '').slice('Bearer '.length)
    if (host === 'control')
      return key === this.platformKey ? this.#control(request.method ?? '', pathname, body) : [401, {}]
    const tenant = this.tenants.find(({ name }) => name === host)
    if (tenant === undefined) return [404, { code: 'unknown_host' }]
    const caller = this.tenants.find(({ anon, service }) => anon === key || service === key)
    if (caller === undefined || (caller !== tenant && this.#leak !== 'keys open every tenant')) return [401, {}]
    if (pathname === '/schema/v1/collections') return [request.method === 'POST' ? 201 : 200, []]
    if (pathname !== '/rest/v1/canaries') return [404, {}]
    if (request.method === 'PATCH') return [400, {}]
    if (request.method === 'POST') return this.#insert(tenant, body ?? {})
    const isForged = request.headers['x-aerodb-context'] !== undefined && this.#leak === 'the context is believed'
    const everything = this.#leak === 'rows are shared' || isForged
    return [
      200,
      (everything ? this.tenants.flatMap(({ rows }) => rows) : tenant.rows).map(({ secret }) => ({ secret })),
    ]
  }

  #insert(tenant: Tenant, row: Record<string, string>): [number, unknown] {
    const { tenant_id: owner, ...rest } = row
    if (owner !== undefined && this.#leak !== 'rows can be given away') return [400, {}]
    const target = this.tenants.find(({ id }) => id === owner) ?? tenant
    target.rows.push(rest)
    return [201, null]
  }

  #control(method: string, pathname: string, body: Record<string, string> | undefined): [number, unknown] {
    if (method === 'DELETE') {
      const index = this.tenants.findIndex(({ id }) => pathname.endsWith(id))
      this.tenants.splice(index, 1)
      return [202, {}]
    }
    const tenant = {
      id: makeId('ten'),
      name: body?.name ?? randomBytes(4).toString('hex'),
      anon: makeKey('anon'),
      service: makeKey('service'),
      rows: [],
    }
    this.tenants.push(tenant)
    return [201, { tenant_id: tenant.id, keys: { anon: tenant.anon, service: tenant.service } }]
  }
}
