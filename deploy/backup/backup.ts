import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigError } from '../../runtime/config.ts'
import { Remedy } from '../remedy.ts'
import { readSources } from './backup-config.ts'
import { removeOldBackups } from './generations.ts'
import { makeBackup } from './make-backup.ts'
import { readManifest } from './manifest.ts'

const USAGE = `npm run backup -- --to DIR [--keep N] [--without-secrets] [--wait SECONDS]

Copies the platform's state into a new folder below DIR while the platform serves; prints that folder's name.
  --keep             removes all but the N youngest backups in DIR afterwards
  --without-secrets  leaves secrets.json out: keep it elsewhere, for no backup opens without it
  --wait             waits so long for tenants that are being moved (default 600)
Of the platform that runs on AERODB_DATA_DIR (.aerodb), or of the databases that AERODB_DATABASE_URL and
AERODB_SHARED_DATABASE_URLS name, and the data directories of AERODB_BACKUP_DATA_DIRS. See docs/operations/backup.md.`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      to: { type: 'string' },
      keep: { type: 'string' },
      'without-secrets': { type: 'boolean', default: false },
      wait: { type: 'string', default: '600' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  if (values.to === undefined) throw new TypeError('--to is required')
  const keep = values.keep === undefined ? undefined : Number(values.keep)
  if (keep !== undefined && !(Number.isInteger(keep) && keep >= 1)) throw new TypeError('--keep must be 1 or more')
  const waitMs = Number(values.wait) * 1_000
  if (!(waitMs >= 0)) throw new TypeError('--wait must be a number of seconds')
  // What is made is ours alone, whatever the shell's mask.
  process.umask(0o077)
  const to = resolve(values.to)
  const path = await makeBackup({
    sources: await readSources(),
    to,
    withSecrets: !values['without-secrets'],
    waitMs,
    nowMs: Date.now,
    onStep: (text) => console.error(`[backup] ${text}`),
  })
  const manifest = await readManifest(path)
  if (manifest.folders.some((folder) => folder.secrets !== null))
    console.error('[backup] it has secrets.json in it: whoever reads it can open everything')
  else console.error(`[backup] without secrets: keep the encryption key ${manifest.encryption_key_id ?? ''} elsewhere`)
  if (keep !== undefined) for (const name of await removeOldBackups(to, keep)) console.error(`[backup] removed ${name}`)
  console.log(path)
  return 0
}

try {
  process.exitCode = await main()
} catch (fault) {
  if (fault instanceof Remedy) console.error(`No backup was made. ${fault.message}\n  Remedy: ${fault.remedy}`)
  else if (fault instanceof TypeError) console.error(`${fault.message}\n\n${USAGE}`)
  else console.error(fault instanceof ConfigError ? fault.message : fault)
  process.exitCode = fault instanceof TypeError || fault instanceof ConfigError ? 2 : 1
}
process.disconnect?.()
