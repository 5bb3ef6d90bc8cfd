import { plain } from './table.ts'

/** Where results and remarks go: results to stdout, as JSON when programs read; everything else to stderr. */
export type Output = {
  isJson: boolean
  /** The result: as the platform API has it for programs, as `render` has it for people. */
  show: (value: unknown, render: () => string) => void
  /** A page of a list; people are told when there is more than it shows. */
  showPage: (page: { next_cursor: string | null }, render: () => string) => void
  /** A remark, left out with `--quiet`, and for programs: their stderr is empty or an error. */
  note: (text: string) => void
}

export function makeOutput(options: { json: boolean; quiet: boolean }): Output {
  const show: Output['show'] = (value, render) => {
    process.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : render())
  }
  const note: Output['note'] = (text) => {
    if (!options.quiet && !options.json) process.stderr.write(`${plain(text)}\n`)
  }
  return {
    isJson: options.json,
    show,
    note,
    showPage: (page, render) => {
      show(page, render)
      if (page.next_cursor !== null) note('There are more: --limit <count> or --all shows them.')
    },
  }
}
