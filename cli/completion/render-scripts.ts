import type { Word, Words } from './read-words.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/**
 * A script that completes `aerodb` in a shell. All three go the same way: the words before the cursor lead to a command, the word
 * before it may be an option that wants a value, and what can follow is looked up. The shell asks nobody: a key press costs no process.
 */
export function renderScript(shell: Shell, words: Words): string {
  return { bash: renderBash, zsh: renderZsh, fish: renderFish }[shell](words)
}

function renderBash(words: Words): string {
  const rows = [...words.table].map(
    ([key, row]) => `    ${quote(key)}) echo ${quote(row.map((word) => word.text).join(' '))} ;;`,
  )
  return `# bash completion for aerodb; use it with: source <(aerodb completion bash)
_aerodb_words() {
  case $1 in
${rows.join('\n')}
  esac
}
${renderTests(words)}
_aerodb() {
  local current=\${COMP_WORDS[COMP_CWORD]} key word i
  local -a before=()
  # Bash takes \`--option=value\` apart.
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == '=' ]] || before+=("\${COMP_WORDS[i]}")
  done
  [[ $current == '=' ]] && current=
  ${WALK}
  [[ $current == -* ]] && key="$at -"
  if _aerodb_is_file "$key"; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  local found=$(_aerodb_words "$key")
  [[ -z $found && -z $option ]] && found=$(_aerodb_words "$at $position")
  [[ $key == *' -' ]] && found+=" $(_aerodb_words ' -')"
  COMPREPLY=($(compgen -W "$found" -- "$current"))
}
complete -F _aerodb aerodb
`
}

function renderZsh(words: Words): string {
  const rows = [...words.table].map(
    ([key, row]) => `    ${quote(key)}) found+=(${row.map((word) => quote(describe(word, ':'))).join(' ')}) ;;`,
  )
  return `#compdef aerodb
# zsh completion for aerodb; use it with: source <(aerodb completion zsh), after compinit
_aerodb_words() {
  case $1 in
${rows.join('\n')}
  esac
}
${renderTests(words)}
_aerodb() {
  local current=\${words[CURRENT]} key word
  local -a found before=("\${(@)words[2,CURRENT-1]}")
  ${WALK}
  if [[ $current == --*=* ]]; then
    key="$at \${current%%=*}"
    compset -P '*='
  elif [[ $current == -* ]]; then key="$at -"
  fi
  if _aerodb_is_file "$key"; then
    _files
    return
  fi
  _aerodb_words "$key"
  (( $#found )) || [[ -n $option ]] || _aerodb_words "$at $position"
  [[ $key == *' -' ]] && _aerodb_words ' -'
  (( $#found )) && _describe -V aerodb found
}
if [[ \${funcstack[1]} == _aerodb ]]; then _aerodb "$@"; else compdef _aerodb aerodb; fi
`
}

/** Of bash and zsh: from the words \`before\` the cursor to the command \`at\` it and the \`key\` of what can follow. */
const WALK = `local at= option= position=1
  for word in "\${before[@]}"; do
    if [[ -n $option && $word != -* ]]; then
      _aerodb_is_variadic "$at $option" || option=
    elif [[ $word == -* ]]; then
      option=
      { _aerodb_is_valued "$at $word" || _aerodb_is_valued " $word"; } && option=$word
    elif _aerodb_is_command "\${at:+$at }$word"; then
      at="\${at:+$at }$word"
    else
      ((position++))
    fi
  done
  key="$at\${option:+ $option}"`

/** Of bash and zsh: whether a key is in a list. */
function renderTests({ paths, valued, variadic, files }: Words): string {
  return Object.entries({ command: paths, valued, variadic, file: files })
    .map(([name, keys]) => `_aerodb_is_${name}() { case $1 in ${keys.map(quote).join('|')}) ;; *) return 1 ;; esac; }`)
    .join('\n')
}

function renderFish(words: Words): string {
  const rows = [...words.table].map(
    ([key, row]) =>
      `    case ${quoteFish(key)}\n      printf '%s\\n' ${row.map((word) => quoteFish(describe(word, '\t'))).join(' ')}`,
  )
  const list = (keys: readonly string[]) => keys.map(quoteFish).join(' ')
  return `# fish completion for aerodb; use it with: aerodb completion fish | source
function __aerodb_words
  switch "$argv[1]"
${rows.join('\n')}
  end
end
# The key of what can follow.
function __aerodb_key
  set -l at ''
  set -l option ''
  set -l position 1
  for word in (commandline -opc)[2..]
    set -l longer (string trim -- "$at $word")
    if test -n "$option"; and not string match -q -- '-*' $word
      contains -- "$at $option" ${list(words.variadic)}; or set option ''
    else if string match -q -- '-*' $word
      set option ''
      contains -- "$at $word" ${list(words.valued)}; and set option $word
      contains -- " $word" ${list(words.valued.filter((key) => key.startsWith(' ')))}; and set option $word
    else if contains -- $longer ${list(words.paths)}
      set at $longer
    else
      set position (math $position + 1)
    end
  end
  set -l current (commandline -ct)
  if string match -q -- '--*=*' $current
    echo "$at "(string replace -r -- '=.*' '' $current)
  else if string match -q -- '-*' $current
    echo "$at -"
  else if test -n "$option"
    echo "$at $option"
  else if test -n "$(__aerodb_words $at)"
    echo "$at"
  else
    echo "$at $position"
  end
end
function __aerodb_wants_file
  contains -- (__aerodb_key) ${list(words.files)}
end
function __aerodb_complete
  set -l key (__aerodb_key)
  set -l prefix (string match -r -- '^--[^=]*=' (commandline -ct))
  for line in (__aerodb_words $key)
    echo "$prefix$line"
  end
  string match -q -- '?* -' $key; and __aerodb_words ' -'
end
complete -c aerodb -e
complete -c aerodb -n __aerodb_wants_file -F
complete -c aerodb -n 'not __aerodb_wants_file' -f -k -a '(__aerodb_complete)'
`
}

function describe({ text, description }: Word, separator: string): string {
  return description === '' ? text : `${text}${separator}${description}`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function quoteFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
