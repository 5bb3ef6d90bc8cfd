import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { UsageRecord } from '../../../metering/contract.ts'
import { systemClock } from '../../../runtime/clock.ts'
import { type RequestContext, RequestContextCodec } from '../../../tenancy/request-context.ts'
import { StorageApi, type StorageApiOptions } from '../storage-api.ts'
import { contextOf, type TestTenant } from './tenant-database.ts'

export type StorageServerOptions = Omit<StorageApiOptions, 'usage' | 'urlSecrets' | 'clock' | 'maxObjectBytes'> &
  Partial<Pick<StorageApiOptions, 'clock' | 'maxObjectBytes'>>

/**
 * A gateway and a backend in small: `<tenant id>.localhost` or the header `x-test-tenant` names the tenant, the api key the
 * caller (`service`, `anon`, `user-<sub>`), and the storage API gets the signed and verified context.
 */
export class StorageServer {
  readonly api: StorageApi
  readonly usage: UsageRecord[] = []
  readonly #server: Server
  readonly #codec = new RequestContextCodec('a secret of the test, 32 characters')
  readonly #tenants = new Map<string, TestTenant>()
  /** By tenant; absent is unlimited. */
  readonly quotas = new Map<string, number>()

  private constructor(options: StorageServerOptions) {
    this.api = new StorageApi({
      clock: systemClock,
      maxObjectBytes: 5_000_000_000,
      ...options,
      urlSecrets: ['the secret that signs URLs in tests'],
      usage: {
        append: (record, onWritten) => {
          this.usage.push(record)
          setImmediate(onWritten)
        },
        close: async () => {},
      },
    })
    this.#server = createServer((request, response) => {
      const context = this.#contextOf(request)
      if (context === undefined) response.writeHead(401).end()
      else void this.api.handle(request, response, context, 'test-request')
    })
    this.#server.requestTimeout = 0
  }

  static async start(options: StorageServerOptions): Promise<StorageServer> {
    const server = new StorageServer(options)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  add(...tenants: readonly TestTenant[]): void {
    for (const tenant of tenants) this.#tenants.set(tenant.tenantId, tenant)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The base URL for a client of `tenant`. */
  url(tenant: TestTenant, path = ''): string {
    return `http://${tenant.tenantId.replace('_', '-')}.localhost:${this.port}/storage/v1${path}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.api.close()
  }

  /** What the gateway would sign for this request, verified as the backend would. */
  #contextOf(request: IncomingMessage): RequestContext | undefined {
    const tenantId = (request.headers.host ?? '').split('.')[0]?.replace('-', '_') ?? ''
    const tenant = this.#tenants.get(tenantId)
    if (tenant === undefined) return undefined
    const key = String(request.headers.apikey ?? request.headers.authorization?.replace('Bearer ', '') ?? 'anon')
    const subject = /^user-(.+)$/.exec(key)?.[1]
    const role = key === 'service' ? 'service_role' : subject === undefined ? 'anon' : 'authenticated'
    return this.#codec.verify(
      this.#codec.sign({
        ...contextOf(tenant, role),
        claims: subject === undefined ? null : { role, sub: subject },
        quotas: { storage_bytes: null, file_storage_bytes: this.quotas.get(tenantId) ?? null },
      }),
      Date.now(),
    )
  }
}
