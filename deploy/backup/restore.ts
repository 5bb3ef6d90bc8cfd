import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigError } from '../../runtime/config.ts'
import { Remedy } from '../remedy.ts'
import { readPlaces } from './backup-config.ts'
import { checkBackup } from './check-backup.ts'
import { makeRestore, type Restored } from './make-restore.ts'
import { readManifest } from './manifest.ts'

const USAGE = `npm run restore -- --from DIR [--replace] [--secrets FILE] [--check]

Restores a backup (the folder that npm run backup printed) into the empty data directory AERODB_DATA_DIR (.aerodb), or into
AERODB_BACKUP_DATA_DIRS. Checksums are compared first. Run it again should it be cut off.
  --replace  moves what is in the data directory aside, into a folder in it
  --secrets  the secrets.json of a backup that was made without
  --check    only reads the backup and compares checksums`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      from: { type: 'string' },
      replace: { type: 'boolean', default: false },
      secrets: { type: 'string' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  if (values.from === undefined) throw new TypeError('--from is required')
  const from = resolve(values.from)
  const onStep = (text: string) => console.error(`[restore] ${text}`)
  if (values.check) {
    const { files, bytes } = await checkBackup(from, await readManifest(from), onStep)
    console.log(`${files} files, ${bytes} bytes: as they were written`)
    return 0
  }
  const restored = await makeRestore({
    places: readPlaces(),
    from,
    secretsFile: values.secrets === undefined ? undefined : resolve(values.secrets),
    replace: values.replace,
    nowMs: Date.now,
    onStep,
  })
  console.log(describe(restored))
  return 0
}

function describe({ backup, aside, otherServers }: Restored): string {
  const lines = [`${backup} is restored.`]
  for (const path of aside) lines.push(`What was there before is in ${path}`)
  for (const { directory, uses, versionNum } of otherServers)
    lines.push(
      `The server of ${uses.join(' and ')} is ready in ${directory}: start PostgreSQL ${Math.floor(versionNum / 10_000)} on it.`,
    )
  lines.push('', 'Start the platform on an empty Redis, then prove it: npm run reconcile && npm run audit:isolation')
  return lines.join('\n')
}

try {
  process.exitCode = await main()
} catch (fault) {
  if (fault instanceof Remedy) console.error(`${fault.message}\n  Remedy: ${fault.remedy}`)
  else if (fault instanceof TypeError) console.error(`${fault.message}\n\n${USAGE}`)
  else console.error(fault instanceof ConfigError ? fault.message : fault)
  process.exitCode = fault instanceof TypeError || fault instanceof ConfigError ? 2 : 1
}
process.disconnect?.()
