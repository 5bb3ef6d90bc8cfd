import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { GROUPS } from '../site/openapi.ts'

/** Pages of the site that are files of the repository outside docs/. */
const INCLUDED: Readonly<Record<string, string>> = {
  '../SECURITY.md': '/security',
  '../CONTRIBUTING.md': '/contributing',
  '../CHANGELOG.md': '/changelog',
}

const INCLUDED_PAGES: ReadonlySet<string> = new Set(Object.values(INCLUDED))
const OWN = /^\.\.\/docs(\/.*)\.md$/

export default defineConfig({
  title: 'AeroDB',
  description: 'AeroDB Managed Hosting: tenancy enforced on every request',
  lang: 'en',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  outDir: 'dist',
  cleanUrls: false,
  lastUpdated: false,
  srcExclude: ['README.md', 'site/**', 'dist/**'],
  vite: {
    resolve: {
      // The calculator runs the platform's own rating, which can read its price list from a file: not in a browser.
      alias: { 'node:fs': fileURLToPath(new URL('./no-disk.ts', import.meta.url)) },
    },
    build: { chunkSizeWarningLimit: 1_000 },
  },
  markdown: {
    config(markdown) {
      // Markdown is read in the repository too, where links lead to sources that the site does not have.
      markdown.core.ruler.push('links-out-of-docs', ({ tokens, env }) => {
        const page = typeof env?.relativePath === 'string' ? env.relativePath : ''
        const folder = INCLUDED_PAGES.has(`/${page.slice(0, -3)}`) ? '..' : posix.dirname(page)
        for (const inline of tokens) {
          const children = inline.children ?? []
          for (const [place, token] of children.entries()) {
            const href = token.type === 'link_open' ? token.attrGet('href') : null
            if (href === null || /^[a-z]+:|^[/#]/.test(href)) continue
            const [path = '', anchor] = href.split('#')
            const target = posix.normalize(posix.join(folder, path))
            if (!target.startsWith('..')) continue
            const found = INCLUDED[target] ?? OWN.exec(target)?.[1]
            if (found !== undefined) token.attrSet('href', anchor === undefined ? found : `${found}#${anchor}`)
            else {
              const end = children.findIndex((one, i) => i > place && one.type === 'link_close')
              for (const one of [token, children[end]]) if (one !== undefined) one.tag = 'span'
              token.attrs = []
            }
          }
        }
      })
    },
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    nav: [
      { text: 'Guide', link: '/hosting-guide' },
      { text: 'Reference', link: '/reference/' },
      { text: 'Operations', link: '/operations/architecture' },
      { text: 'Pricing', link: '/pricing' },
    ],
    sidebar: [
      {
        text: 'Guide',
        items: [
          { text: 'Managed hosting', link: '/hosting-guide' },
          { text: 'Isolation compared', link: '/isolation' },
          { text: 'Pricing and bills', link: '/pricing' },
          { text: 'The aerodb command', link: '/cli' },
          { text: 'Errors by code', link: '/error-codes' },
        ],
      },
      {
        text: 'API reference',
        items: [
          { text: 'Overview', link: '/reference/' },
          ...[...GROUPS]
            .sort((a, b) => Number(b.id === 'tenants') - Number(a.id === 'tenants'))
            .map(({ id, title }) => ({ text: title, link: `/reference/${id}` })),
          { text: 'Tenant API', link: '/reference/tenant-api' },
        ],
      },
      {
        text: 'Operations',
        items: [
          { text: 'Architecture and failure modes', link: '/operations/architecture' },
          { text: 'One host: Docker Compose', link: '/operations/docker-compose' },
          { text: 'One host: systemd', link: '/operations/systemd' },
          { text: 'Kubernetes', link: '/operations/kubernetes' },
          { text: 'Monitoring', link: '/operations/monitoring' },
          { text: 'Backup and restore', link: '/operations/backup' },
          { text: 'Upgrade and roll back', link: '/operations/upgrade' },
          { text: 'Benchmarks and capacity', link: '/benchmarks' },
          { text: 'Conformance of the edge', link: '/conformance' },
          { text: 'Security', link: '/security' },
        ],
      },
      {
        text: 'Project',
        items: [
          { text: 'Contributing', link: '/contributing' },
          { text: 'Changelog', link: '/changelog' },
        ],
      },
    ],
  },
})
