import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../../runtime/free-port.ts'
import { findProgram, programVersion } from '../../../runtime/programs.ts'
import { PinnedProcess } from '../pinned-process.ts'
import type { ProxyContext, Yardstick } from '../yardstick.ts'

/** Caddy as a plain reverse proxy, one scheduler thread on its one core, without log and admin endpoint. */
export const caddy: Yardstick<ProxyContext> = {
  name: 'caddy',
  title: 'Caddy, plain reverse proxy',
  findObstacle: async () => ((await findProgram('caddy')) === undefined ? 'caddy is not installed' : undefined),
  version: async () => `caddy ${await programVersion((await findProgram('caddy')) ?? 'caddy', ['version'])}`,
  async start({ scratch, upstreamPort, connections, cores }) {
    const program = await findProgram('caddy')
    if (program === undefined) throw new Error('caddy is not installed')
    const folder = join(scratch, 'caddy')
    await mkdir(folder, { recursive: true })
    const port = await findFreePort()
    const file = join(folder, 'Caddyfile')
    await writeFile(
      file,
      `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstreamPort} {
    transport http {
      keepalive_idle_conns ${connections * 2}
      keepalive_idle_conns_per_host ${connections * 2}
    }
  }
}
`,
    )
    const server = await PinnedProcess.start({
      program,
      args: ['run', '--config', file, '--adapter', 'caddyfile'],
      core: cores.served,
      env: {
        HOME: folder,
        XDG_DATA_HOME: folder,
        XDG_CONFIG_HOME: folder,
        ...(cores.served === undefined ? {} : { GOMAXPROCS: '1' }),
      },
      readyPort: port,
    })
    return { port, pids: () => server.pids(), stop: () => server.stop() }
  },
}
