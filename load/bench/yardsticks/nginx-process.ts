import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../../runtime/free-port.ts'
import { findProgram, programVersion } from '../../../runtime/programs.ts'
import { PinnedProcess } from '../pinned-process.ts'
import type { ProxyContext, RunningYardstick } from '../yardstick.ts'

export async function findNginxObstacle(): Promise<string | undefined> {
  return (await findProgram('nginx')) === undefined ? 'nginx is not installed' : undefined
}

export async function nginxVersion(): Promise<string> {
  return programVersion((await findProgram('nginx')) ?? 'nginx', ['-v'])
}

/** What one nginx of the benchmark differs in from another. */
export type NginxParts = {
  name: string
  /** Directives of the main context, such as `load_module`. */
  main?: string
  /** Directives of the http context. */
  http?: string
  /** Directives of the one location, besides the proxying. */
  location?: string
}

/** Starts an nginx of one worker, everything of it in a folder of its own, as a tuned reverse proxy of the upstream. */
export async function startNginx(context: ProxyContext, parts: NginxParts): Promise<RunningYardstick> {
  const program = await findProgram('nginx')
  if (program === undefined) throw new Error('nginx is not installed')
  const folder = join(context.scratch, parts.name)
  await mkdir(folder, { recursive: true })
  const port = await findFreePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(context, parts, port, folder))
  const nginx = await PinnedProcess.start({
    program,
    args: ['-p', folder, '-c', file, '-e', join(folder, 'error.log')],
    core: context.cores.served,
    readyPort: port,
  })
  return { port, pids: () => nginx.pids(), stop: () => nginx.stop() }
}

function configuration({ upstreamPort, connections }: ProxyContext, parts: NginxParts, port: number, folder: string) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
${parts.main ?? ''}
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  upstream backend {
    server 127.0.0.1:${upstreamPort};
    keepalive ${connections};
    keepalive_requests 1000000000;
  }
  ${parts.http ?? ''}
  server {
    listen 127.0.0.1:${port};
    location / {
      ${parts.location ?? ''}
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`
}
