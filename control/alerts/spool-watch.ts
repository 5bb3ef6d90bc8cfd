import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { openAlert, resolveAlert } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'

const KIND = 'spool_growth'

/**
 * Opens an alert while the usage spools under `directory` hold more than `maxBytes`: what lies there was served and is not in
 * the ledger yet, because Redis or the sink is away or slow. Nothing is lost by it until the disk is full.
 */
export async function watchSpools(options: {
  directory: string
  maxBytes: number
  pool: PostgresPool
  publish: PublishTouched
}): Promise<void> {
  const { directory, maxBytes, pool, publish } = options
  const bytes = await measureDirectory(directory)
  await makeChange(pool, publish, async (change) => {
    if (bytes <= maxBytes) return resolveAlert(change, KIND)
    await openAlert(change, {
      fingerprint: KIND,
      kind: KIND,
      severity: bytes > maxBytes * 10 ? 'critical' : 'warning',
      tenantId: null,
      detail: `Usage records of ${bytes} bytes wait in the spools: they do not reach the ledger.`,
      attributes: { bytes, threshold_bytes: maxBytes },
    })
  })
}

/** The bytes of all files below a directory; 0 where there is none. */
export async function measureDirectory(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        // A segment is deleted under our hands when its records are in the ledger.
        stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
