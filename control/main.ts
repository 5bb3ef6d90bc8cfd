import { serviceMain } from '../runtime/service-main.ts'
import { readControlConfig } from './config.ts'
import { startControl } from './control.ts'

await serviceMain('control', readControlConfig, async ({ config, log, lifecycle }) => {
  const { url } = await startControl(config, { log, lifecycle })
  log.info({ url }, 'control serves')
  lifecycle.ready({ url })
})
