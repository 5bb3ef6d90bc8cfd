import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../../runtime/free-port.ts'
import type { DataContext } from '../data-context.ts'
import { PinnedProcess } from '../pinned-process.ts'
import { profilingEnv } from '../profile.ts'

type Service = { port: number; process: PinnedProcess }

/** Starts a backend of the context's platform on the serving core. */
export async function startBackend(context: DataContext, name: string): Promise<Service> {
  const port = await findFreePort()
  const env = await commonEnv(context, name)
  const process = await startService('backend', context, { ...env, AERODB_BACKEND_PORT: String(port) }, port)
  return { port, process }
}

/** Starts a gateway of one worker on the serving core, in front of the given backend. */
export async function startGateway(context: DataContext, name: string, backendPort: number): Promise<Service> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()]
  const env = {
    ...(await commonEnv(context, name)),
    AERODB_DOMAIN: context.endpoints.domain,
    AERODB_BACKEND_URLS: `http://127.0.0.1:${backendPort}`,
    AERODB_GATEWAY_PORT: String(port),
    AERODB_GATEWAY_ADMIN_PORT: String(adminPort),
    AERODB_GATEWAY_WORKERS: '1',
  }
  return { port, process: await startService('gateway', context, env, port) }
}

async function commonEnv(
  { scratch, secrets, redisUrl, profile }: DataContext,
  name: string,
): Promise<Record<string, string>> {
  const directory = join(scratch, name)
  await mkdir(directory, { recursive: true })
  return {
    ...profilingEnv(profile),
    NODE_ENV: 'production',
    AERODB_LOG_LEVEL: 'warn',
    AERODB_DATA_DIR: directory,
    AERODB_INTERNAL_SECRET: secrets.internal,
    AERODB_ENCRYPTION_KEYS: secrets.encryption,
    AERODB_REDIS_URL: redisUrl,
  }
}

function startService(
  service: 'backend' | 'gateway',
  { cores }: DataContext,
  env: Readonly<Record<string, string>>,
  readyPort: number,
): Promise<PinnedProcess> {
  const program = fileURLToPath(new URL(`../../../${service}/main.ts`, import.meta.url))
  return PinnedProcess.start({
    program: process.execPath,
    args: [program],
    core: cores.served,
    env,
    readyPort,
    ipc: true,
  })
}
