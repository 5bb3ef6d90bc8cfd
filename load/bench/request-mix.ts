import { writeFile } from 'node:fs/promises'
import { makeKey } from '../../tenancy/key.ts'

/** A tenant as the load sees it: its host name and one of its keys. */
export type LoadTenant = { name: string; key: string }

/** The requests that are sent, one after another and over again, as bytes on the wire; they have no bodies. */
export type RequestMix = { requests: readonly string[] }

export const BENCH_DOMAIN = 'bench.localhost'
/** What the proxy measurements ask for; the stub upstream answers whatever it is asked. */
export const PROXY_PATH = '/rest/v1/todos?id=eq.42'

/** Makes `count` tenants with a key of each; their names begin with `prefix`. */
export function makeLoadTenants(count: number, prefix = 'tenant'): LoadTenant[] {
  return Array.from({ length: count }, (_, i) => ({ name: `${prefix}-${i}`, key: makeKey('anon') }))
}

/** One GET for each tenant, with its host and its key, as its application would send it. */
export function makeRequestMix(tenants: readonly LoadTenant[], path: string): RequestMix {
  return {
    requests: tenants.map(
      ({ name, key }) =>
        `GET ${path} HTTP/1.1\r\nHost: ${name}.${BENCH_DOMAIN}\r\napikey: ${key}\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n`,
    ),
  }
}

/** Writes a mix where load generators read it: requests separated by NUL, which no request holds. */
export async function writeRequestMix(mix: RequestMix, file: string): Promise<void> {
  await writeFile(file, mix.requests.join('\0'))
}
