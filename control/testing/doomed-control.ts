/*
 * A control process that kills itself (-9) right after the step named by KILL_AFTER, or, as `<step>+<milliseconds>`, in
 * the middle of what follows it: for the tests of resumption. It says where it serves over the IPC channel, like the real one.
 */
import { serviceMain } from '../../runtime/service-main.ts'
import { readControlConfig } from '../config.ts'
import { startControl } from '../control.ts'

const [killAfter, laterMs] = (process.env.KILL_AFTER ?? '').split('+')
const kill = () => process.kill(process.pid, 'SIGKILL')

await serviceMain('control', readControlConfig, async ({ config, log, lifecycle }) => {
  const { url } = await startControl(config, {
    log,
    lifecycle,
    leaseSeconds: 2,
    moveGraceMs: 100,
    afterStep: (point) => {
      if (point !== killAfter) return
      if (laterMs === undefined) kill()
      else setTimeout(kill, Number(laterMs))
    },
  })
  lifecycle.ready({ url })
})
