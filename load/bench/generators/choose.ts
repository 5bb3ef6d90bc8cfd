import { findProgram } from '../../../runtime/programs.ts'
import type { LoadGenerator } from './measurement.ts'
import { nodeGenerator } from './node-generator.ts'
import { makeWrkGenerator } from './wrk.ts'

/** wrk where it is installed; otherwise ours, which takes more of the loading core and so lowers the ceiling. */
export async function chooseGenerator(): Promise<LoadGenerator> {
  const wrk = await findProgram('wrk')
  return wrk === undefined ? nodeGenerator : makeWrkGenerator(wrk)
}
