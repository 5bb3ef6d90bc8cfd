import { parseArgs } from 'node:util'

/** What one run of the benchmark is asked to do. */
export type BenchOptions = {
  /** Names of yardsticks or groups; empty means all. */
  only: readonly string[]
  /** Length of one measurement. */
  seconds: number
  rounds: number
  connections: number
  /** Rewrites the tables in `docs/benchmarks.md`. */
  write: boolean
  /** Also writes every figure of every round, as JSON. */
  json: string | undefined
  /** A folder for V8 profiles of the gateways. */
  profile: string | undefined
  list: boolean
}

export const USAGE = `npm run bench -- [options]
  --only a,b         yardsticks or groups (proxy, latency, memory, data); see --list
  --seconds n        length of one measurement, 1 to 60 (default 4)
  --rounds n         rounds over all yardsticks, 1 to 15 (default 5)
  --connections n    client connections, 1 to 1024 (default 64)
  --write            rewrite the tables in docs/benchmarks.md
  --json file        also write every figure of every round
  --profile folder   profile the gateways into that folder and print the functions that cost most
  --list             name the yardsticks and stop`

/** Reads the command line. @throws Error that says what is wrong with it. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '64' },
      write: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  })
  return {
    only: (values.only ?? []).flatMap((part) => part.split(',')).filter((name) => name !== ''),
    seconds: bounded('--seconds', values.seconds, 1, 60),
    rounds: bounded('--rounds', values.rounds, 1, 15),
    connections: bounded('--connections', values.connections, 1, 1024),
    write: values.write,
    json: values.json,
    profile: values.profile,
    list: values.list,
  }
}

function bounded(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(`${name} takes ${min} to ${max}\n${USAGE}`)
  return value
}
