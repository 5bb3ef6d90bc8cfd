import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vitepress'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/**
 * Builds the site into `outDir`: plain files for any web server. What Markdown refers to must exist.
 * @throws Error that names a dead link or a page that does not compile.
 */
export async function buildSite(outDir: string): Promise<void> {
  await rm(outDir, { recursive: true, force: true })
  await build(join(ROOT, 'docs'), { outDir })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outDir = join(ROOT, 'docs', 'dist')
  process.env.NODE_ENV = 'production'
  await buildSite(outDir)
  console.log(`The site is in ${outDir}: copy it to a web server, or look at it with \`npx vitepress preview docs\`.`)
}
