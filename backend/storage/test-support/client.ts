import { createClient } from '@supabase/supabase-js'
import { Agent } from 'undici'
import type { StorageServer } from './storage-server.ts'
import type { TestTenant } from './tenant-database.ts'

/** Every host name is the loopback address. */
export const agent = new Agent({
  connect: {
    lookup: (_host, options, done) => {
      if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
      else done(null, '127.0.0.1', 4)
    },
  },
})

export const localFetch = ((input: string, init: object) =>
  fetch(input, { ...init, dispatcher: agent } as unknown as RequestInit)) as typeof fetch

/** An unmodified supabase-js for one caller: `service`, `anon` or `user-<sub>`. */
export function storageClient(server: StorageServer, tenant: TestTenant, key: string) {
  return createClient(server.url(tenant).replace('/storage/v1', ''), key, {
    auth: { persistSession: false, autoRefreshToken: false },
    global: { fetch: localFetch },
  }).storage
}
