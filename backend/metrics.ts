import { Gauge, type Registry } from 'prom-client'
import { makeRegistry } from '../runtime/process-metrics.ts'
import type { Servers } from './postgres/servers.ts'

/** What monitoring reads at the backend's `/metrics`: sums over all database servers, which may be as many as tenants. */
export function makeBackendMetrics(readings: { servers: Pick<Servers, 'all'>; countRealtime: () => number }): Registry {
  const registry = makeRegistry()
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  }
  const sum = (read: (server: Servers['all'][number]) => number): number => {
    return readings.servers.all.reduce((total, server) => total + read(server), 0)
  }
  gauge('aerodb_backend_database_servers', 'Database servers in use', () => readings.servers.all.length)
  gauge('aerodb_backend_database_connections', 'Connections to them for requests on rows', () =>
    sum((server) => server.requests.connectionCount),
  )
  gauge('aerodb_backend_statements_waiting', 'Requests on rows that wait for a connection', () =>
    sum((server) => server.requests.waitingCount),
  )
  gauge('aerodb_backend_realtime_connections', 'Open realtime sockets', readings.countRealtime)
  return registry
}
