import type { Group } from './group.ts'
import { measureInRounds } from './rounds.ts'
import { withStubUpstream } from './stub-surroundings.ts'
import { caddy } from './yardsticks/caddy.ts'
import { gateway, gatewayPipelining1, gatewayPipelining16, gatewayTenThousand } from './yardsticks/gateway.ts'
import { honoProxy } from './yardsticks/hono-proxy.ts'
import { nginx } from './yardsticks/nginx.ts'
import { nginxLua } from './yardsticks/nginx-lua.ts'
import { undiciDispatch } from './yardsticks/undici-dispatch.ts'
import { upstreamDirect } from './yardsticks/upstream-direct.ts'

const YARDSTICKS = [
  upstreamDirect,
  nginx,
  nginxLua,
  caddy,
  undiciDispatch,
  honoProxy,
  gateway,
  gatewayTenThousand,
  gatewayPipelining1,
  gatewayPipelining16,
]

/** What stands in front of an upstream: all get the same requests and pass them to the same stub. */
export const proxyGroup: Group = {
  name: 'proxy',
  yardsticks: YARDSTICKS,
  run: (wanted, run) =>
    withStubUpstream(run, async (context, mix) => ({
      group: 'proxy',
      title: 'In front of an upstream',
      support: context.support.title,
      bases: [
        { name: 'undici', heading: '× bare undici' },
        { name: 'nginx', heading: '× nginx' },
        { name: 'nginx-lua', heading: '× nginx+Lua' },
        { name: 'caddy', heading: '× Caddy' },
      ],
      rows: await measureInRounds({
        yardsticks: YARDSTICKS.filter(({ name }) => wanted.has(name)),
        context,
        mix,
        generator: run.generator,
        seconds: run.options.seconds,
        rounds: run.options.rounds,
        onProgress: run.onProgress,
      }),
      notes: [],
    })),
}
