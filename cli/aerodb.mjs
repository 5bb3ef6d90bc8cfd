#!/usr/bin/env node
// The command `aerodb`, under whatever Node the machine has: installs what is missing and hands over to the pinned Node.
// npm changes to the repository's root before it runs a script; files are named from where the caller stands.
const isNpmScript = process.env.npm_lifecycle_event === 'aerodb'
process.env.AERODB_CALLED_FROM = (isNpmScript ? process.env.INIT_CWD : undefined) ?? process.cwd()
process.argv.splice(2, 0, 'cli/main.ts')
await import('../deploy/bootstrap.mjs')
