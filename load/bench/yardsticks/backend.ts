import { CONTEXT_HEADER, RequestContextCodec } from '../../../tenancy/request-context.ts'
import { tenantSchemaName } from '../../../tenancy/tenant.ts'
import { type DataContext, type DataTenant, LIST_PATH, ONE_ROW_PATH } from '../data-context.ts'
import type { RequestMix } from '../request-mix.ts'
import type { RunningYardstick, Yardstick } from '../yardstick.ts'
import { startBackend } from './data-services.ts'

/** Longer than any run: the mix is written once. */
const CONTEXT_LIFETIME_MS = 3_600_000

async function start(
  context: DataContext,
  name: string,
  tenants: readonly DataTenant[],
  path: string,
): Promise<RunningYardstick> {
  const { port, process } = await startBackend(context, name)
  return {
    port,
    mix: signedMix(context.secrets.internal, tenants, path),
    pids: () => process.pids(),
    stop: () => process.stop(),
  }
}

/** Requests as the gateway passes them on: with the signed context of the tenant's service key. */
function signedMix(internalSecret: string, tenants: readonly DataTenant[], path: string): RequestMix {
  const codec = new RequestContextCodec(internalSecret)
  const requests = tenants.map(({ tenantId, name }) => {
    const schema = tenantSchemaName(tenantId)
    const token = codec.sign({
      tenant_id: tenantId,
      name,
      isolation: 'schema',
      placement: { server: 'shared-0', schema, role: schema },
      role: 'service_role',
      key_id: null,
      claims: null,
      quotas: { storage_bytes: null, file_storage_bytes: null },
      expires_at: Date.now() + CONTEXT_LIFETIME_MS,
    })
    return `GET ${path} HTTP/1.1\r\nHost: ${name}.localhost\r\n${CONTEXT_HEADER}: ${token}\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n`
  })
  return { requests }
}

/** Our backend without a gateway, over ten schema tenants. */
export const backend: Yardstick<DataContext> = {
  name: 'backend',
  title: 'backend, one row by id, 10 schema tenants',
  start: (context) => start(context, 'backend', context.tenants, ONE_ROW_PATH),
}

/** The same API over one tenant's table without row-level security. */
export const backendSingle: Yardstick<DataContext> = {
  name: 'backend-single',
  title: 'backend, one row by id, one table without RLS',
  start: (context) => start(context, 'backend-single', [context.single], ONE_ROW_PATH),
}

export const backendList: Yardstick<DataContext> = {
  name: 'backend-list',
  title: 'backend, ten rows, 10 schema tenants',
  start: (context) => start(context, 'backend-list', context.tenants, LIST_PATH),
}
