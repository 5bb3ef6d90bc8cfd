/** What is read of commander's command. */
export type CommandNode = {
  name: () => string
  description: () => string
  commands: readonly CommandNode[]
  options: readonly OptionNode[]
  registeredArguments: readonly { argChoices?: readonly string[] | undefined }[]
}
type OptionNode = {
  long?: string | undefined
  short?: string | undefined
  flags: string
  description: string
  required: boolean
  variadic: boolean
  argChoices?: readonly string[] | undefined
}

export type Word = { text: string; description: string }

/**
 * The command line as tables that a shell script can look things up in. The keys: `tenants` (its commands), `tenants list -` (its
 * options), `tenants list --status` (the values of an option), `tenants move 2` (the values of an argument). What is given with every
 * command stands at the program alone: ` -`, ` --profile`.
 */
export type Words = {
  /** Every command by its path. */
  paths: string[]
  table: ReadonlyMap<string, readonly Word[]>
  /** Options that a value follows. */
  valued: string[]
  /** Options that several values follow. */
  variadic: string[]
  /** Options whose value is a file. */
  files: string[]
}

const HELP: OptionNode = {
  long: '--help',
  flags: '--help',
  description: 'show how',
  required: false,
  variadic: false,
}

/** Reads the tables out of the program itself, so that they never say anything else. */
export function readWords(program: CommandNode): Words {
  const table = new Map<string, Word[]>()
  const words: Words = { paths: [], table, valued: [], variadic: [], files: [] }
  const visit = (node: CommandNode, path: string) => {
    if (path !== '') words.paths.push(path)
    if (node.commands.length > 0)
      table.set(
        path,
        node.commands.map((one) => ({ text: one.name(), description: one.description() })),
      )
    const options = node === program ? [...node.options, HELP] : node.options
    table.set(
      `${path} -`,
      options.map(({ long = '', description }) => ({ text: long, description })),
    )
    for (const option of options) {
      const keys = [option.long, option.short].filter((flag) => flag !== undefined).map((flag) => `${path} ${flag}`)
      if (option.required) words.valued.push(...keys)
      if (option.variadic) words.variadic.push(...keys)
      if (option.required && option.flags.includes('<file>')) words.files.push(...keys)
      if (option.argChoices !== undefined) for (const key of keys) table.set(key, makeWords(option.argChoices))
    }
    for (const [index, { argChoices }] of node.registeredArguments.entries())
      if (argChoices !== undefined) table.set(`${path} ${index + 1}`, makeWords(argChoices))
    for (const one of node.commands) visit(one, path === '' ? one.name() : `${path} ${one.name()}`)
  }
  visit(program, '')
  return words
}

function makeWords(texts: readonly string[]): Word[] {
  return texts.map((text) => ({ text, description: '' }))
}
