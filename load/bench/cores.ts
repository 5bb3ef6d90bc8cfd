import { availableParallelism } from 'node:os'
import { findProgram } from '../../runtime/programs.ts'

/** Which core serves and which one loads; `undefined` where the machine cannot pin (then the figures say so). */
export type Cores = { served: number | undefined; load: number | undefined }

/** The last core serves and the first one loads (interrupts tend to land on the first). */
export async function chooseCores(): Promise<Cores> {
  const cores = availableParallelism()
  if (cores < 2 || (await findProgram('taskset')) === undefined) return { served: undefined, load: undefined }
  return { served: cores - 1, load: 0 }
}
