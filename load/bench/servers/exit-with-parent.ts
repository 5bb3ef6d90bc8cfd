/** Ends this process when the benchmark that started it is gone (its IPC channel closes) or says so. */
export function exitWithParent(): void {
  process.on('disconnect', () => process.exit(0))
  process.on('SIGTERM', () => process.exit(0))
}
