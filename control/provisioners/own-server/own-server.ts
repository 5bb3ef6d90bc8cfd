import { spawn } from 'node:child_process'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findFreePort } from '../../../runtime/free-port.ts'
import type { PostgresBinaries } from '../../../runtime/postgres-binaries.ts'
import { findServerOn } from '../../../runtime/postgres-server.ts'
import { endProcess } from '../../../runtime/processes.ts'

const LOG_FILE = 'server.log'
const MAX_LOG_BYTES = 4_000_000
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 15_000

/** Set for every tenant's server: small when idle, safe, and ready for logical replication (moving). */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_permissions: '0700',
  password_encryption: 'scram-sha-256',
  io_method: 'sync',
  max_worker_processes: '4',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  autovacuum_worker_slots: '2',
  autovacuum_max_workers: '1',
  wal_level: 'logical',
  max_wal_senders: '4',
  max_replication_slots: '4',
  max_slot_wal_keep_size: '1GB',
  idle_replication_slot_timeout: '10min',
  min_wal_size: '16MB',
  max_wal_size: '256MB',
  wal_buffers: '512kB',
  checkpoint_timeout: '15min',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  jit: 'off',
}

export type OwnServerSpec = {
  /** The data directory; the administrator's socket lies in it too. */
  directory: string
  port: number
  /** The user it runs as, where we are root. */
  uid: number | undefined
  settings: Readonly<Record<string, string>>
  /** How long it may take until it answers. */
  startTimeoutMs?: number
}

/** The port was taken by somebody else meanwhile. */
export class PortTakenError extends Error {}

/** The administrator's way in. */
export function adminConfig(spec: Pick<OwnServerSpec, 'directory' | 'port'>): pg.ClientConfig {
  return {
    host: spec.directory,
    port: spec.port,
    user: 'postgres',
    database: 'postgres',
    application_name: 'aerodb-control',
    connectionTimeoutMillis: 5_000,
  }
}

/** The port of the server that runs on `directory`, if one does. */
export async function runningPort(directory: string): Promise<number | undefined> {
  if ((await findServerOn(directory)) === undefined) return undefined
  const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const port = Number(lines[3])
  return Number.isInteger(port) && port > 0 ? port : undefined
}

/** When the server that runs on `directory` was started (to the second below), if one does. */
export async function runningSince(directory: string): Promise<number | undefined> {
  if ((await findServerOn(directory)) === undefined) return undefined
  const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const seconds = Number(lines[2])
  return Number.isInteger(seconds) && seconds > 0 ? seconds * 1_000 : undefined
}

/**
 * Starts the server and waits until it answers. It is its own session and keeps running when we die; whoever comes next
 * finds it by its directory.
 * @throws PortTakenError, or an error with the server's last words.
 */
export async function startOwnServer(binaries: PostgresBinaries, spec: OwnServerSpec): Promise<void> {
  const deadline = performance.now() + (spec.startTimeoutMs ?? START_TIMEOUT_MS)
  for (;;) {
    const reason = await trySpawn(binaries, spec, deadline)
    if (reason === undefined) return
    if (reason.includes('could not bind') || reason.includes('could not create any TCP/IP sockets'))
      throw new PortTakenError(reason)
    // A killed postmaster's children hold its shared memory until they notice; then the next try succeeds.
    if (!reason.includes('shared memory') || performance.now() > deadline)
      throw new Error(`A tenant's Postgres did not start: ${reason}`)
    await sleep(50)
  }
}

/**
 * Starts the server on its port, or, when somebody else took that while it was down, on another.
 * @returns the port.
 */
export async function startOnSomePort(binaries: PostgresBinaries, spec: OwnServerSpec): Promise<number> {
  for (let port = spec.port, tries = 1; ; port = await findFreePort(), tries++) {
    try {
      await startOwnServer(binaries, { ...spec, port })
      return port
    } catch (fault) {
      if (!(fault instanceof PortTakenError) || tries === 5) throw fault
    }
  }
}

/** Fast shutdown of whatever runs on the directory; returns when nothing does. */
export async function stopOwnServer(directory: string): Promise<void> {
  const pid = await findServerOn(directory)
  if (pid !== undefined) await endProcess(pid, 'SIGINT', STOP_TIMEOUT_MS)
}

async function trySpawn(
  binaries: PostgresBinaries,
  spec: OwnServerSpec,
  deadline: number,
): Promise<string | undefined> {
  const { directory, port, uid } = spec
  const all = { ...SETTINGS, unix_socket_directories: directory, ...spec.settings }
  const logPath = join(directory, LOG_FILE)
  const isLong = await stat(logPath).then(
    (info) => info.size > MAX_LOG_BYTES,
    () => false,
  )
  const log = await open(logPath, isLong ? 'w' : 'a', 0o600)
  const from = (await log.stat()).size
  try {
    if (uid !== undefined) await log.chown(uid, uid)
    const args = ['-D', directory, '-p', String(port), ...Object.entries(all).flatMap(([k, v]) => ['-c', `${k}=${v}`])]
    const child = spawn(binaries.postgres, args, {
      ...(uid === undefined ? {} : { uid, gid: uid }),
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
      cwd: '/',
      stdio: ['ignore', 'ignore', log.fd],
      detached: true,
    })
    child.unref()
    let hasExited = false
    child.once('error', () => (hasExited = true))
    child.once('exit', () => (hasExited = true))
    while (!hasExited) {
      if (await answers(spec)) return undefined
      if (performance.now() > deadline) {
        await stopOwnServer(directory)
        return 'no answer in time'
      }
      await sleep(10)
    }
  } finally {
    await log.close()
  }
  return readTail(logPath, from)
}

async function answers(spec: OwnServerSpec): Promise<boolean> {
  const client = new pg.Client(adminConfig(spec))
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

async function readTail(path: string, from: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const buffer = Buffer.alloc(Math.min(Math.max(size - from, 0), 4_000))
    await file.read(buffer, 0, buffer.length, Math.max(from, size - buffer.length))
    return buffer.toString('utf8').trim()
  } finally {
    await file.close()
  }
}
