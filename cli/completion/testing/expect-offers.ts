import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { makeProgram } from '../../program.ts'
import { readWords } from '../read-words.ts'
import { renderScript, type Shell } from '../render-scripts.ts'

/** What is typed, with the cursor at its end, and what the shell then offers. */
const OFFERED: readonly [typed: string, offered: readonly string[]][] = [
  ['ten', ['tenants']],
  ['keys j', ['jwt']],
  ['keys jwt ', ['get', 'set']],
  ['--json --profile tenants keys jwt ', ['get', 'set']],
  ['tenants list --stat', ['--status']],
  ['tenants list --prof', ['--profile']],
  ['tenants list --status pa', ['paused']],
  ['tenants list --status=pa', ['--status=paused']],
  ['tenants list --status paused --isolation s', ['schema']],
  ['tenants move acme d', ['database']],
  ['tenants move keys d', ['database']],
  ['webhooks create https://x --events alert.opened alert.r', ['alert.resolved']],
  ['completion z', ['zsh']],
  ['tenants move acme --profile ', []],
  ['tenants get ', []],
  ['invoices get acme 2026-11 -o fi', ['file.pdf']],
]

/** How each shell is asked: bash and zsh by the variables that they would set, fish by its own test command. */
const ASK: Readonly<Record<Shell, (script: string, typed: string) => string>> = {
  bash: (script, typed) => {
    // Bash has taken the line apart at `=` before it asks.
    const words = ['aerodb', ...typed.split(' ').flatMap((word) => word.split(/(=)/))]
    return `source ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
      _aerodb; printf '%s\n' "\${COMPREPLY[@]}"`
  },
  zsh: (script, typed) => {
    const words = ['aerodb', ...typed.split(' ')]
    return `compdef() {}; compset() {}; _files() { print -l -- $current*(N) }
      _describe() { print -l -- \${(M)\${(@)found%%:*}:#\${current#--*=}*} }
      source ${script}; words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; _aerodb`
  },
  fish: (script, typed) => `source ${script}; complete -C 'aerodb ${typed}' | string replace -r '\\t.*' ''`,
}

/** Expects of a real shell that it offers what can follow. `directory` gets the script, and a `file.pdf`. */
export function expectOffers(shell: Shell, directory: string): void {
  const script = join(directory, `aerodb.${shell}`)
  writeFileSync(join(directory, 'file.pdf'), '')
  writeFileSync(script, renderScript(shell, readWords(makeProgram(async () => {}))))
  for (const [typed, offered] of OFFERED) {
    const { stdout, stderr, error } = spawnSync(shell, ['-c', ASK[shell](script, typed)], {
      cwd: directory,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: directory },
    })
    if (error !== undefined) throw new Error(`This test needs ${shell} (apt-get install ${shell})`, { cause: error })
    // Only fish puts the option itself before its value.
    const whole = shell === 'fish' ? offered : offered.map((word) => word.replace(/^--\w+=/, ''))
    expect({ typed, offered: stdout.split('\n').filter((word) => word !== ''), stderr }).toEqual({
      typed,
      offered: whole,
      stderr: '',
    })
  }
}
