import { createServer, type Server } from 'node:http'
import { AggregatorRegistry, type MetricObject } from 'prom-client'

export type AdminOptions = {
  isReady(): boolean
  collectMetrics(): Promise<MetricObject[][]>
}

/** The private port: is the process there, does it serve, what does it measure (added up over the workers). */
export function makeAdminServer(options: AdminOptions): Server {
  return createServer((request, response) => {
    const answer = (status: number, contentType: string, body: string): void => {
      response.writeHead(status, { 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(body)
    }
    switch (request.url) {
      case '/healthz':
        return answer(200, 'application/json', '{"status":"ok"}')
      case '/readyz':
        return options.isReady()
          ? answer(200, 'application/json', '{"status":"ready"}')
          : answer(503, 'application/json', '{"status":"not_ready"}')
      case '/metrics':
        void options
          .collectMetrics()
          .then((collected) => AggregatorRegistry.aggregate(collected).metrics())
          .then(
            (text) => answer(200, AggregatorRegistry.PROMETHEUS_CONTENT_TYPE, text),
            () => answer(500, 'text/plain', 'The metrics could not be collected.'),
          )
        return
      default:
        return answer(404, 'application/json', '{"status":"not_found"}')
    }
  })
}
