import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ReadyMessage } from '../../runtime/lifecycle.ts'
import { TEST_SECRET, type TestControl } from './start-control.ts'
import type { World } from './world.ts'

/**
 * Starts a second replica beside `survivor`, over the same tables and data directory, that kills itself (-9) after the step
 * `killAfter`. It is added to `children`, which the caller ends. @returns it and its URL.
 */
export async function startDoomedControl(
  survivor: TestControl,
  world: World,
  killAfter: string,
  children: ChildProcess[],
): Promise<{ child: ChildProcess; url: string }> {
  const { config, ownerKey } = survivor
  const child = fork(fileURLToPath(new URL('doomed-control.ts', import.meta.url)), {
    silent: true,
    env: {
      PATH: process.env.PATH,
      KILL_AFTER: killAfter,
      AERODB_LOG_LEVEL: 'silent',
      AERODB_CONTROL_PORT: '0',
      AERODB_DATA_DIR: config.AERODB_DATA_DIR,
      AERODB_DATABASE_URL: world.databaseUrl,
      AERODB_SHARED_DATABASE_URLS: config.AERODB_SHARED_DATABASE_URLS.join(','),
      AERODB_REDIS_URL: world.redis.url,
      AERODB_METERING_URL: 'http://127.0.0.1:9',
      AERODB_INTERNAL_SECRET: TEST_SECRET,
      AERODB_ENCRYPTION_KEYS: TEST_SECRET,
      AERODB_PLATFORM_KEY: ownerKey,
    },
  })
  children.push(child)
  const url = await new Promise<string>((resolve, reject) => {
    child.on('message', (message: Partial<ReadyMessage>) => {
      if (message.type === 'ready') resolve(message.url ?? '')
    })
    child.once('exit', (code) => reject(new Error(`The second control ended (${code}) before it served`)))
  })
  return { child, url }
}
