import { serviceMain } from '../runtime/service-main.ts'
import { startBackend } from './backend.ts'
import { readBackendConfig } from './config.ts'

await serviceMain('backend', readBackendConfig, async (context) => {
  const { url } = await startBackend(context)
  context.log.info({ url }, 'serving')
  context.lifecycle.ready({ url })
})
