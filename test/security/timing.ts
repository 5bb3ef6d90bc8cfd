import { performance } from 'node:perf_hooks'
import { expect } from 'vitest'

/** Rounds of one comparison; its chance of error has a standard deviation of about `1 / sqrt(6 n)`, 0.03. */
const ROUNDS = 150
const WARM_UP = 20
/** How far from a coin's toss is told apart; some seven deviations. */
const BOUND = 0.2
const TRIES = 3

/**
 * How well durations tell two kinds of request apart: the chance that one of `a` took longer than one of `b` (the area under the
 * curve, Mann and Whitney's U over n²). 0.5 tells nothing, 0 and 1 everything; outliers weigh no more than any other.
 */
export function tellApart(a: readonly number[], b: readonly number[]): number {
  let wins = 0
  for (const one of a) for (const other of b) wins += one > other ? 1 : one === other ? 0.5 : 0
  return wins / (a.length * b.length)
}

/** Durations of both requests, asked in turn, in an order drawn for each round: what slows the machine down slows both. */
export async function measureBoth(
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<[number[], number[]]> {
  const durations: [number[], number[]] = [[], []]
  const run = async (which: 0 | 1, isCounted: boolean) => {
    const startedMs = performance.now()
    await (which === 0 ? first : second)()
    if (isCounted) durations[which].push(performance.now() - startedMs)
  }
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const start = Math.random() < 0.5 ? 0 : 1
    await run(start, round >= 0)
    await run(start === 0 ? 1 : 0, round >= 0)
  }
  return durations
}

/** Fails when the time of an answer tells the two apart, each time that it is measured: a real difference does not go away. */
export async function expectSameTime(
  what: string,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<void> {
  const seen: number[] = []
  for (let tries = 0; tries < TRIES; tries++) {
    const chance = tellApart(...(await measureBoth(first, second)))
    if (Math.abs(chance - 0.5) < BOUND) return
    seen.push(chance)
  }
  expect.fail(`${what}: its duration tells: ${seen.map((chance) => chance.toFixed(2)).join(', ')} (0.50 would not)`)
}
