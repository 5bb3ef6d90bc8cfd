import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Who holds something on this machine, such that a later process with the same id is told apart: the process id, its start
 * time (clock ticks since boot), the boot and the process namespace (a container) in which the id means anything.
 */
export type ProcessIdentity = { pid: number; started: string; boot: string; namespace: string }

/** The identity of this process. Outside Linux only the process id is known. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, started: startTime(process.pid) ?? '', ...here() }
}

/**
 * Whether the process is still there: `unknown` when its id belongs to another container on the same boot, so that only the
 * age of what it left can tell.
 */
export function lookUpProcess(identity: ProcessIdentity): 'alive' | 'gone' | 'unknown' {
  const { boot, namespace } = here()
  if (identity.boot !== boot && boot !== '') return 'gone'
  if (identity.namespace !== namespace) return 'unknown'
  try {
    process.kill(identity.pid, 0)
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EPERM') return 'gone'
  }
  const started = startTime(identity.pid)
  if (started === undefined) return process.platform === 'linux' ? 'gone' : 'alive'
  return started === identity.started ? 'alive' : 'gone'
}

/** @returns `undefined` when `value` is not an identity (a torn or foreign file). */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null
    if (value === null || typeof value !== 'object') return undefined
    const { pid, started, boot, namespace } = value
    if (typeof pid !== 'number' || typeof started !== 'string') return undefined
    if (typeof boot !== 'string' || typeof namespace !== 'string') return undefined
    return { pid, started, boot, namespace }
  } catch {
    return undefined
  }
}

let cachedHere: { boot: string; namespace: string } | undefined

function here(): { boot: string; namespace: string } {
  cachedHere ??= {
    boot: quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '',
    namespace: quietly(() => readlinkSync('/proc/self/ns/pid')) ?? '',
  }
  return cachedHere
}

/** Field 22 of `/proc/<pid>/stat` (proc(5)); a zombie counts as gone. */
function startTime(pid: number): string | undefined {
  const status = quietly(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = status?.slice(status.lastIndexOf(')') + 2).split(' ')
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19]
}

function quietly<Result>(read: () => Result): Result | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
