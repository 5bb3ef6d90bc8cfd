import { spawn } from 'node:child_process'

/**
 * Sees to it that a server which knows nothing of its launcher (Postgres, Redis) ends when the launcher is killed. Returns
 * how to dismiss the guardian.
 */
export function endWhenLauncherIsGone(pid: number, signal: 'INT' | 'TERM'): () => void {
  return whenLauncherIsGone('kill -s "$1" "$2" 2>/dev/null', [signal, String(pid)])
}

/** Removes a file that must not outlive its launcher: one that says "ready" would mislead whoever waits for the next. */
export function removeWhenLauncherIsGone(file: string): () => void {
  return whenLauncherIsGone('rm -f "$1"', [file])
}

/** A shell waits on a pipe that closes with the launcher's death, however it came, then runs `command`. */
function whenLauncherIsGone(command: string, args: readonly string[]): () => void {
  const shell = spawn('/bin/sh', ['-c', `cat >/dev/null; ${command}`, 'aerodb-guardian', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  return () => {
    shell.kill('SIGKILL')
  }
}
