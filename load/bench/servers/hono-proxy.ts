/** Hono's own proxy helper over fetch, as its documentation shows it. Usage: node hono-proxy.ts <port> <upstream port> */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { proxy } from 'hono/proxy'
import { exitWithParent } from './exit-with-parent.ts'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const app = new Hono()
app.all('*', (c) => proxy(`http://127.0.0.1:${upstreamPort}${c.req.path}`, { ...c.req }))
serve({ fetch: app.fetch, port: port ?? 0, hostname: '127.0.0.1' })
exitWithParent()
