import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeProgram } from '../program.ts'
import { readWords } from './read-words.ts'
import { renderScript, SHELLS, type Shell } from './render-scripts.ts'

/** What is typed, with the cursor at its end, and what the shell then offers; in real shells, those of them that are installed. */
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

const directory = mkdtempSync(join(tmpdir(), 'aerodb-completion-'))
afterAll(() => rmSync(directory, { recursive: true }))
writeFileSync(join(directory, 'file.pdf'), '')

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

describe.each(SHELLS)('%s', (shell) => {
  const isHere = spawnSync(shell, ['-c', 'true']).status === 0
  test.skipIf(!isHere)('offers what can follow', () => {
    const script = join(directory, `aerodb.${shell}`)
    writeFileSync(script, renderScript(shell, readWords(makeProgram(async () => {}))))
    for (const [typed, offered] of OFFERED) {
      const { stdout, stderr } = spawnSync(shell, ['-c', ASK[shell](script, typed)], {
        cwd: directory,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: directory },
      })
      // Only fish puts the option itself before its value.
      const whole = shell === 'fish' ? offered : offered.map((word) => word.replace(/^--\w+=/, ''))
      expect({ typed, offered: stdout.split('\n').filter((word) => word !== ''), stderr }).toEqual({
        typed,
        offered: whole,
        stderr: '',
      })
    }
  })
})
