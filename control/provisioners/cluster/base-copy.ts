import { constants, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'

/**
 * Not copied, as pg_basebackup does not: what belongs to the running process, what a server makes anew, and the log, which
 * comes by streaming. https://www.postgresql.org/docs/18/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
 */
const EMPTIED = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
])
const LEFT_OUT =
  /^(postmaster\.pid|postmaster\.opts|backup_label.*|tablespace_map.*|standby\.signal|recovery\.signal|server\.log|\.s\.PGSQL\..*|pg_internal\.init.*|pgsql_tmp.*|postgresql\.auto\.conf\.tmp)$/
/** Written last of all: it says up to where the others are good. */
const CONTROL_FILE = join('global', 'pg_control')

/**
 * Copies the data directory of a running server on this machine to the new directory `to`, while the server goes on, by
 * Postgres's own backup functions. Whoever starts a standby on the copy has kept the log from before this call (by a slot):
 * the copy is whole once it has replayed up to its end.
 * @param source an administrator's connection to the server of `from`; nothing else uses it meanwhile.
 */
export async function copyRunningServer(source: pg.Client, from: string, to: string): Promise<void> {
  await source.query(`select pg_backup_start('aerodb standby', fast => true)`)
  await mkdir(to, { mode: 0o700 })
  try {
    await copyTree(from, to)
    await mkdir(join(to, 'pg_wal', 'archive_status'), { mode: 0o700 })
    await mkdir(join(to, 'pg_wal', 'summaries'), { mode: 0o700 })
    await copyIfThere(join(from, CONTROL_FILE), join(to, CONTROL_FILE))
    const stopped = await source.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(wait_for_archive => false)',
    )
    await writeFile(join(to, 'backup_label'), stopped.rows[0]?.labelfile ?? '', { mode: 0o600 })
  } catch (fault) {
    await rm(to, { recursive: true, force: true })
    throw fault
  }
}

async function copyTree(from: string, to: string, inside = ''): Promise<void> {
  for (const entry of await readdir(join(from, inside), { withFileTypes: true })) {
    const name = join(inside, entry.name)
    if (LEFT_OUT.test(entry.name) || name === CONTROL_FILE) continue
    if (entry.isDirectory()) {
      await mkdir(join(to, name), { mode: 0o700 })
      if (inside !== '' || !EMPTIED.has(entry.name)) await copyTree(from, to, name).catch(unlessGone)
    } else if (entry.isFile()) await copyIfThere(join(from, name), join(to, name))
    // Tablespaces are not used here, and a copy that left one out would be none.
    else if (inside === 'pg_tblspc') throw new Error('A cluster with tablespaces cannot be copied')
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE).catch(unlessGone)
}

/** Tables are dropped meanwhile; the log says so too. */
function unlessGone(fault: NodeJS.ErrnoException): void {
  if (fault.code !== 'ENOENT') throw fault
}
