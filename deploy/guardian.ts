import { spawn } from 'node:child_process'

/**
 * Sees to it that a server which knows nothing of its launcher (Postgres, Redis) ends when the launcher is killed: a shell
 * waits on a pipe that closes with the launcher's death, then sends the signal. Returns how to dismiss it.
 */
export function guard(pid: number, signal: 'INT' | 'TERM'): () => void {
  const shell = spawn(
    '/bin/sh',
    ['-c', 'cat >/dev/null; kill -s "$1" "$2" 2>/dev/null', 'aerodb-guardian', signal, String(pid)],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    },
  )
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  return () => {
    shell.kill('SIGKILL')
  }
}
