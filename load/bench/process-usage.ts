import { readFile } from 'node:fs/promises'

/** Linux counts processor time in ticks of 1/100 s (USER_HZ, fixed in its ABI). */
const MICROSECONDS_PER_TICK = 10_000
const BYTES_PER_PAGE = 4_096

/** The process `pid` and all its descendants, as far as /proc tells. */
export async function readProcessTree(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const below = await Promise.all(
    children
      .split(' ')
      .filter((text) => text.trim() !== '')
      .map((text) => readProcessTree(Number(text))),
  )
  return [pid, ...below.flat()]
}

/** Processor time used so far by the given processes, user and system together, in microseconds. */
export async function readCpuMicroseconds(pids: readonly number[]): Promise<number> {
  let ticks = 0
  for (const pid of pids) {
    const fields = await readStat(pid)
    // proc_pid_stat(5): utime and stime are fields 14 and 15, counted from the state as field 3.
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  }
  return ticks * MICROSECONDS_PER_TICK
}

/** Resident memory of the largest of the given processes, in bytes. */
export async function readLargestRssBytes(pids: readonly number[]): Promise<number> {
  const pages = await Promise.all(pids.map(async (pid) => Number((await readStat(pid))[21] ?? 0)))
  return Math.max(0, ...pages) * BYTES_PER_PAGE
}

/** Time for which `core` was busy with anything at all since boot, in microseconds; 0 where it cannot be read. */
export async function readCoreBusyMicroseconds(core: number | undefined): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8').catch(() => '')
  const line = text.split('\n').find((candidate) => candidate.startsWith(`cpu${core} `))
  if (line === undefined) return 0
  // proc_stat(5): user nice system idle iowait irq softirq steal; idle and iowait are what is left.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number)
  return (user + nice + system + irq + softirq + steal) * MICROSECONDS_PER_TICK
}

async function readStat(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}
