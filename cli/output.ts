import { plain } from './table.ts'

/** Where results and remarks go: results to stdout, as JSON when programs read; everything else to stderr. */
export type Output = {
  isJson: boolean
  /** The result: as the platform API has it for programs, as `render` has it for people. */
  show: (value: unknown, render: () => string) => void
  /** A remark, left out with `--quiet`, and for programs: their stderr is empty or an error. */
  note: (text: string) => void
}

export function makeOutput(options: { json: boolean; quiet: boolean }): Output {
  return {
    isJson: options.json,
    show: (value, render) => {
      process.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : render())
    },
    note: (text) => {
      if (!options.quiet && !options.json) process.stderr.write(`${plain(text)}\n`)
    },
  }
}
