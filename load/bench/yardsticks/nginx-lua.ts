import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFile } from '../../../runtime/programs.ts'
import type { ProxyContext, Yardstick } from '../yardstick.ts'
import { findNginxObstacle, nginxVersion, startNginx } from './nginx-process.ts'

const MODULE_FOLDERS = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules']
const SCRIPT = fileURLToPath(new URL('./nginx-lua.lua', import.meta.url))

function findModule(name: string): Promise<string | undefined> {
  return findFile(MODULE_FOLDERS.map((folder) => join(folder, name)))
}

/**
 * nginx doing what most would build a gateway of: a Lua key check, one Redis INCR (over kept-alive cosockets) and one
 * buffered log line for each request.
 */
export const nginxLua: Yardstick<ProxyContext> = {
  name: 'nginx-lua',
  title: 'nginx + Lua: key check, Redis INCR, log buffer',
  version: nginxVersion,
  async findObstacle() {
    const obstacle = await findNginxObstacle()
    if (obstacle !== undefined) return obstacle
    return (await findModule('ngx_http_lua_module.so')) === undefined ? 'nginx has no Lua module' : undefined
  },
  async start(context) {
    const folder = join(context.scratch, 'nginx-lua')
    await mkdir(folder, { recursive: true })
    const modules = await Promise.all(['ndk_http_module.so', 'ngx_http_lua_module.so'].map(findModule))
    const keys = context.tenants.map(({ name, key }) => `${name} ${key}`).join('\n')
    await writeFile(join(folder, 'keys.txt'), keys)
    return startNginx(context, {
      name: 'nginx-lua',
      main: modules.map((module) => `load_module ${module};`).join('\n'),
      http: `
  log_format usage '$msec $host $request_method $uri $status $body_bytes_sent $request_time';
  access_log ${folder}/usage.log usage buffer=64k flush=1s;
  init_by_lua_block {
    gate = dofile("${SCRIPT}")
    gate.init("${folder}/keys.txt", ${context.redis.port}, "${context.redis.password}")
  }`,
      location: 'access_by_lua_block { gate.check() }',
    })
  },
}
