// Thousands of sockets that join one channel of their tenant and stay; then broadcasts over HTTP, each of which has to reach
// every subscriber of its tenant and nobody else.
import http from 'k6/http'
import { Counter, Trend } from 'k6/metrics'
import { WebSocket } from 'k6/websockets'
import { leaks, number, PERCENTILES, params, tenants } from './shared.js'

export { handleSummary } from './shared.js'

const socketsPerClient = 100
const clients = Math.ceil(number('SOCKETS', 1_000) / socketsPerClient)
/** Sockets are opened over this time, then broadcasts are sent for as long as `SECONDS` says. */
const openSeconds = number('OPEN_SECONDS', 20)
const seconds = number('SECONDS', 20)
const heartbeatMs = 25_000

const joined = new Counter('joined')
const lost = new Counter('lost')
const sent = new Counter('broadcasts')
const delivered = new Counter('delivered')
const joinMs = new Trend('join_ms', true)
const deliveryMs = new Trend('delivery_ms', true)

export const options = {
  scenarios: {
    subscribers: {
      executor: 'per-vu-iterations',
      exec: 'subscribe',
      vus: clients,
      iterations: 1,
      maxDuration: `${openSeconds + seconds + 30}s`,
    },
    publisher: {
      executor: 'constant-arrival-rate',
      exec: 'publish',
      rate: number('BROADCASTS_PER_SECOND', 2),
      duration: `${seconds}s`,
      startTime: `${openSeconds}s`,
      preAllocatedVUs: 5,
    },
  },
  thresholds: { leaks: ['count==0'] },
  summaryTrendStats: PERCENTILES,
}

export function subscribe() {
  const startedMs = Date.now()
  for (let i = 0; i < socketsPerClient; i++) {
    const delayMs = ((i + (__VU % 10) / 10) * openSeconds * 800) / socketsPerClient
    setTimeout(() => open(tenants[(__VU * socketsPerClient + i) % tenants.length], startedMs), delayMs)
  }
}

function open(tenant, startedMs) {
  const begunMs = Date.now()
  const url = `${__ENV.GATEWAY.replace('http', 'ws')}/realtime/v1/websocket?apikey=${tenant.key}&vsn=1.0.0`
  const socket = new WebSocket(url, null, { headers: { Host: `${tenant.name}.${__ENV.DOMAIN}` } })
  let isJoined = false
  let isOver = false
  socket.onopen = () => {
    const payload = { config: { broadcast: { self: false, ack: false }, presence: { key: '' }, postgres_changes: [] } }
    socket.send(JSON.stringify({ topic: 'realtime:room', event: 'phx_join', payload, ref: '1', join_ref: '1' }))
  }
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (message.event === 'phx_reply' && message.ref === '1' && message.payload.status === 'ok' && !isJoined) {
      isJoined = true
      joined.add(1)
      joinMs.add(Date.now() - begunMs)
    }
    if (message.event === 'broadcast') {
      delivered.add(1)
      deliveryMs.add(Date.now() - message.payload.payload.sentAtMs)
      if (message.payload.payload.canary !== tenant.canary) leaks.add(1)
    }
  }
  socket.onclose = () => {
    if (!isOver) lost.add(1)
  }
  socket.onerror = () => {}
  const heartbeat = setInterval(() => {
    socket.send(JSON.stringify({ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: '2' }))
  }, heartbeatMs)
  const leftMs = startedMs + (openSeconds + seconds + 5) * 1_000 - Date.now()
  setTimeout(() => {
    isOver = true
    clearInterval(heartbeat)
    socket.close()
  }, leftMs)
}

export function publish() {
  const tenant = tenants[Math.floor(Math.random() * tenants.length)]
  const payload = { canary: tenant.canary, sentAtMs: Date.now() }
  const body = JSON.stringify({ messages: [{ topic: 'room', event: 'tick', payload }] })
  const response = http.post(`${__ENV.GATEWAY}/realtime/v1/api/broadcast`, body, params(tenant))
  if (response.status < 300) sent.add(1)
}
