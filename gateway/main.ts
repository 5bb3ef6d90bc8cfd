import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { startShipper } from '../metering/shipper.ts'
import { type ServiceContext, serviceMain } from '../runtime/service-main.ts'
import { makeAdminServer } from './admin.ts'
import { type GatewayConfig, readGatewayConfig } from './config.ts'
import { Primary } from './primary.ts'
import { startWorker } from './worker.ts'

/** The gateway's first process: owns the ports, keeps the workers alive, tells the launcher who serves. */
async function startPrimary({ config, log, lifecycle }: ServiceContext<GatewayConfig>): Promise<void> {
  // Started before the workers and so stopped after them: what they spooled last is shipped, too.
  const shipper = startShipper({
    directory: join(config.AERODB_DATA_DIR, 'spool'),
    redisUrls: config.AERODB_REDIS_URL,
    log,
  })
  lifecycle.onStop('shipper', () => shipper.close())
  let endpoints: { url: string; adminUrl: string } | undefined
  const announce = (): void => {
    if (endpoints !== undefined) lifecycle.ready({ ...endpoints, pids: primary.pids() })
  }
  const primary = new Primary({
    host: config.AERODB_GATEWAY_HOST,
    port: config.AERODB_GATEWAY_PORT,
    ...(config.AERODB_GATEWAY_TLS_DIRECTORY === undefined ? {} : { tlsPort: config.AERODB_GATEWAY_TLS_PORT }),
    workers: config.AERODB_GATEWAY_WORKERS,
    stopDelayMs: config.AERODB_GATEWAY_STOP_DELAY_MS,
    log,
    onChange: announce,
  })
  const admin = makeAdminServer({
    // It falls as soon as the signal to stop is there, and is told until the last worker has drained.
    isReady: () => primary.isReady && !lifecycle.isStopping,
    collectMetrics: () => primary.collectMetrics(),
  })
  await new Promise<void>((resolve, reject) => {
    admin.once('error', reject)
    admin.listen(config.AERODB_GATEWAY_ADMIN_PORT, config.AERODB_GATEWAY_ADMIN_HOST, resolve)
  })
  lifecycle.onStop('admin', () => {
    admin.close()
    admin.closeAllConnections()
  })
  lifecycle.onStop('workers', () => primary.stop())
  const port = await primary.start()
  process.on('SIGHUP', () => void primary.restartWorkers())
  const { port: adminPort } = admin.address() as AddressInfo
  endpoints = {
    url: `http://${config.AERODB_GATEWAY_HOST}:${port}`,
    adminUrl: `http://${config.AERODB_GATEWAY_ADMIN_HOST}:${adminPort}`,
  }
  log.info({ ...endpoints, tlsPort: primary.tlsPort, workers: primary.pids() }, 'serving')
  announce()
}

await serviceMain('gateway', readGatewayConfig, process.argv.includes('--worker') ? startWorker : startPrimary)
