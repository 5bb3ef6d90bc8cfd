import { type DataContext, LIST_PATH, ONE_ROW_PATH } from '../data-context.ts'
import type { RunningYardstick, Yardstick } from '../yardstick.ts'
import { startBackend, startGateway } from './data-services.ts'

async function start(context: DataContext, name: string, path: string): Promise<RunningYardstick> {
  const backend = await startBackend(context, `${name}-b`)
  const gateway = await startGateway(context, `${name}-g`, backend.port)
  const requests = context.tenants.map(
    (tenant) =>
      `GET ${path} HTTP/1.1\r\nHost: ${tenant.name}.${context.endpoints.domain}\r\napikey: ${tenant.serviceKey}\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n`,
  )
  return {
    port: gateway.port,
    mix: { requests },
    pids: async () => [...(await gateway.process.pids()), ...(await backend.process.pids())],
    stop: async () => {
      await gateway.process.stop()
      await backend.process.stop()
    },
  }
}

/** A tenant's request as a whole: gateway and backend together on the one core. */
export const gatewayBackend: Yardstick<DataContext> = {
  name: 'gateway-backend',
  title: 'gateway and backend on one core, one row by id, 10 schema tenants',
  start: (context) => start(context, 'gateway-backend', ONE_ROW_PATH),
}

export const gatewayBackendList: Yardstick<DataContext> = {
  name: 'gateway-backend-list',
  title: 'gateway and backend on one core, ten rows, 10 schema tenants',
  start: (context) => start(context, 'gateway-backend-list', LIST_PATH),
}
