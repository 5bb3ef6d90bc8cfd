import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** True while a process with this id exists (a zombie does not count). */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === 'EPERM'
  }
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return status === undefined
    ? process.platform !== 'linux'
    : status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3) !== 'Z'
}

/** The command line of a process, its arguments joined by spaces; empty where it cannot be read. */
export async function commandLine(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return text.replaceAll('\0', ' ').trim()
}

/** Sends `signal` and waits until the process is gone; after `timeoutMs` it is killed. Safe for processes already gone. */
export async function endProcess(pid: number, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  const send = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name)
    } catch {
      // It is gone already.
    }
  }
  send(signal)
  const deadline = performance.now() + timeoutMs
  while (await isAlive(pid)) {
    if (performance.now() > deadline) send('SIGKILL')
    await sleep(20)
  }
}

/**
 * When a process started, in a form that only that process has (Linux: clock ticks since boot); with the id it names one
 * process for good. `undefined` when it is gone; where the system does not tell, the empty string.
 */
export async function startTicks(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return (await isAlive(pid)) ? '' : undefined
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The fields after the command name, which may itself hold spaces and parentheses; starttime is field 22 (proc(5)).
  return status?.slice(status.lastIndexOf(')') + 2).split(' ')[19]
}
