import { Problem } from '../../runtime/problem.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import { tenantSchemaName } from '../../tenancy/tenant.ts'
import type { Provisioner } from '../provisioners/provisioner.ts'
import type { TenantRow } from '../stores/tenant-store.ts'
import { dumpSchema } from './dump.ts'

/** Each reads at the speed of the disks or of its client. */
const MAX_EXPORTS = 4

/** Reads tenants out, some at once, each once at a time. */
export class Exports {
  readonly #provisioners: Partial<Record<Isolation, Provisioner>>
  readonly #wake: (tenantId: string) => Promise<unknown>
  readonly #running = new Set<string>()

  /** @param wake ends the sleep of a paused tenant. */
  constructor(provisioners: Partial<Record<Isolation, Provisioner>>, wake: (tenantId: string) => Promise<unknown>) {
    this.#provisioners = provisioners
    this.#wake = wake
  }

  /**
   * The tenant's data as SQL, made while it is read; a reader that stops reading ends it. A fault in the middle cuts the stream
   * off: the dump then lacks its last line, and loads as nothing.
   * @throws Problem 503 `exports_busy` while as many run as the platform does at once, or one of this tenant.
   */
  async open(tenant: TenantRow): Promise<ReadableStream<Uint8Array>> {
    const provisioner = this.#provisioners[tenant.isolation]
    if (provisioner === undefined) throw new Error(`There is no ${tenant.isolation} isolation here`)
    if (this.#running.size >= MAX_EXPORTS || this.#running.has(tenant.tenant_id))
      throw new Problem(503, 'exports_busy', {
        detail: 'This tenant, or as many others as can be at once, are being exported. Try again later.',
        headers: { 'Retry-After': '30' },
      })
    this.#running.add(tenant.tenant_id)
    try {
      await this.#wake(tenant.tenant_id)
      await provisioner.wake(tenant)
      const source = await provisioner.connect(tenant)
      return ReadableStream.from(this.#read(tenant, source))
    } catch (fault) {
      this.#running.delete(tenant.tenant_id)
      throw fault
    }
  }

  async *#read(tenant: TenantRow, source: Awaited<ReturnType<Provisioner['connect']>>): AsyncGenerator<Uint8Array> {
    try {
      for await (const part of dumpSchema(source, tenantSchemaName(tenant.tenant_id), tenant.name))
        yield typeof part === 'string' ? Buffer.from(part) : part
    } finally {
      this.#running.delete(tenant.tenant_id)
      await source.end()
    }
  }
}
