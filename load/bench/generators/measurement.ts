/** What a load generator saw. */
export type LoadResult = {
  requests: number
  durationMs: number
  /** Failed connections, broken responses, time-outs and statuses of 400 and above. */
  errors: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export type LoadOptions = {
  port: number
  /** A file of requests as `writeRequestMix` writes it. */
  mixFile: string
  connections: number
  seconds: number
  core: number | undefined
}

/** Sends as many requests as are answered (closed loop: each connection waits for its answer). */
export type LoadGenerator = { name: string; run(options: LoadOptions): Promise<LoadResult> }
