import type { ChildProcess } from 'node:child_process'

/** How often a process of ours tells whoever started it that its event loop turns. */
const BEAT_MS = 1_000
/** After so many beats in a row without a word it is taken to hang. */
const SILENT_BEATS = 10

/** A sign of life, over the IPC channel. */
export type PulseMessage = { type: 'pulse' }

/** Tells the parent process, if there is one that listens, that this one's event loop turns. */
export function startPulse(): void {
  if (process.send === undefined) return
  const message: PulseMessage = { type: 'pulse' }
  const timer = setInterval(() => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
    else clearInterval(timer)
  }, BEAT_MS)
  timer.unref()
}

/**
 * Calls `onSilent`, once, when a child that has given signs of life gives none for ten seconds: it hangs, whatever its process
 * looks like. The seconds are counted in turns of our own event loop, so a machine that slept, and we with it, is no silence.
 */
export function watchPulse(child: ChildProcess, onSilent: () => void): void {
  let silentBeats: number | undefined
  child.on('message', (message: Partial<PulseMessage>) => {
    if (message.type === 'pulse') silentBeats = 0
  })
  const timer = setInterval(() => {
    if (silentBeats === undefined || ++silentBeats < SILENT_BEATS) return
    clearInterval(timer)
    onSilent()
  }, BEAT_MS)
  timer.unref()
  child.once('exit', () => clearInterval(timer))
}
