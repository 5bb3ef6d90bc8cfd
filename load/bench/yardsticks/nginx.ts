import type { ProxyContext, Yardstick } from '../yardstick.ts'
import { findNginxObstacle, nginxVersion, startNginx } from './nginx-process.ts'

/** nginx as a plain reverse proxy: no keys, no limits, no log. */
export const nginx: Yardstick<ProxyContext> = {
  name: 'nginx',
  title: 'nginx, plain reverse proxy',
  findObstacle: findNginxObstacle,
  version: nginxVersion,
  start: (context) => startNginx(context, { name: 'nginx' }),
}
