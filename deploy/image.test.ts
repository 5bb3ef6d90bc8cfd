import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Copy, DockerfileParser } from 'dockerfile-ast'
import { expect, test } from 'vitest'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const read = (name: string) => readFile(join(ROOT, name), 'utf8')
const dockerfile = DockerfileParser.parse(await read('deploy/Dockerfile'))
const packageFile = JSON.parse(await read('package.json')) as { dependencies: Record<string, string> }

/** What COPY instructions take from the repository, by stage; the last stage is the image. */
function listCopied(stage?: 'image'): string[] {
  const instructions = dockerfile.getInstructions()
  const lastFrom = instructions.findLastIndex((one) => one.getKeyword() === 'FROM')
  return instructions.flatMap((one, index) => {
    if (one.getKeyword() !== 'COPY' || (stage === 'image' && index < lastFrom)) return []
    if ((one as Copy).getFlags().some((flag) => flag.getName() === 'from')) return []
    return one
      .getArguments()
      .slice(0, -1)
      .map((argument) => argument.getValue())
  })
}

/** Every file that the services reach by imports and by `new URL(..., import.meta.url)`, and the packages that they import. */
async function followImports(entries: readonly string[]): Promise<{ files: Set<string>; packages: Set<string> }> {
  const files = new Set<string>()
  const packages = new Set<string>()
  const left = [...entries]
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (files.has(file)) continue
    files.add(file)
    if (!file.endsWith('.ts')) continue
    const text = await read(file)
    for (const [statement, specifier = ''] of text.matchAll(
      /(?:^|\n)(?:import|export)\s(?:[^'"]*?\sfrom\s)?'([^']+)'|import\('([^']+)'\)|new URL\('([^']+)', import\.meta\.url\)/g,
    )) {
      if (/^\s*(?:import|export) type/.test(statement)) continue
      const name = specifier || statement.match(/'([^']+)'/)?.[1] || ''
      if (name.startsWith('.')) left.push(relative(ROOT, join(ROOT, dirname(file), name)))
      else if (!name.startsWith('node:')) packages.add(name.match(/^(?:@[^/]+\/)?[^/]+/)?.[0] ?? name)
    }
  }
  return { files, packages }
}

test('the image runs the Node that package.json pins, as a user that is not root', () => {
  const pinned = dockerfile.getInitialARGs().map((arg) => arg.getProperty()?.getValue())
  expect(pinned).toEqual([packageFile.dependencies.node])
  const users = dockerfile.getInstructions().filter((one) => one.getKeyword() === 'USER')
  expect(users.at(-1)?.getArgumentsContent()).toMatch(/^[1-9]\d*:[1-9]\d*$/)
})

test('everything that is copied exists, and is let through to the builder', async () => {
  const ignore = (await read('.dockerignore')).split('\n')
  for (const path of listCopied()) {
    const folder = path.replace(/\/$/, '')
    expect(await readdir(join(ROOT, dirname(folder))), path).toContain(folder.split('/').at(-1))
    expect(ignore, path).toContain(`!${folder}`)
  }
})

test('whatever the services import lies in the image, and is no development package', async () => {
  const services = ['gateway', 'control', 'metering', 'backend'].map((service) => `${service}/main.ts`)
  const { files, packages } = await followImports([...services, 'deploy/backup/backup.ts', 'deploy/backup/restore.ts'])
  expect(files.size).toBeGreaterThan(200)
  const copied = listCopied('image')
  const isIn = (file: string) => copied.some((path) => file === path || file.startsWith(`${path}/`))
  const left = (file: string) => /\.test\.ts$|\/testing\/|\/bench\/|\.md$/.test(file)
  expect([...files].filter((file) => !isIn(file) || left(file))).toEqual([])
  expect([...packages].filter((name) => !(name in packageFile.dependencies))).toEqual([])
})
