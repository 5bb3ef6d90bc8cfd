/** The clock of the open loop: a worker thread that posts how many requests are due, at exponentially spread times. */
import { parentPort, workerData } from 'node:worker_threads'

const { rate } = workerData as { rate: number }
const cell = new Int32Array(new SharedArrayBuffer(4))
let dueAtMs = performance.now()

for (;;) {
  const nowMs = performance.now()
  let count = 0
  while (dueAtMs <= nowMs) {
    count++
    dueAtMs += (-Math.log(1 - Math.random()) / rate) * 1_000
  }
  if (count > 0) parentPort?.postMessage(count)
  // Waits on a cell that nobody changes: a sleep with a resolution of microseconds, which an event loop does not have.
  Atomics.wait(cell, 0, 0, Math.max(0.01, dueAtMs - performance.now()))
}
