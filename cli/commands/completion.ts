import { Argument } from '@commander-js/extra-typings'
import { readWords } from '../completion/read-words.ts'
import { renderScript, SHELLS } from '../completion/render-scripts.ts'
import type { Perform } from '../session.ts'
import type { Group } from './group.ts'

/** `aerodb completion` */
export function addCompletionCommand(program: Group, perform: Perform): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'of which shell').choices(SHELLS))
    .description('A script that has the shell complete commands, options and their values.')
    .action((shell) =>
      perform(async () => {
        process.stdout.write(renderScript(shell, readWords(program)))
      }),
    )
}
