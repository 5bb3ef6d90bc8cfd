import { Button, Code, Group, NumberInput, Stack, Text } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type TenantKey, useLimitKey } from '../api/tenant-parts.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'

type Props = { tenantId: string; of: TenantKey; onClose: () => void }

/** A key's own rate limit, beside the tenant's. */
export function LimitForm({ tenantId, of, onClose }: Props) {
  const limit = useLimitKey(tenantId)
  const [value, setValue] = useState<number | ''>(of.rate_limit ?? '')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    limit.mutate(
      { keyId: of.key_id, rateLimit: value === '' ? null : value },
      {
        onSuccess: ({ requestId }) => {
          reportDone(`The limit of the ${of.kind} key ${of.hint} is in force.`, requestId)
          onClose()
        },
      },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">
          Requests with <Code>{of.hint}</Code> count against this limit and against the tenant's. An empty field leaves
          only the tenant's.
        </Text>
        <NumberInput
          label="Requests per second"
          min={1}
          max={1_000_000}
          allowDecimal={false}
          allowNegative={false}
          thousandSeparator=" "
          value={value}
          onChange={(next) => setValue(typeof next === 'number' ? next : '')}
        />
        {limit.error !== null && <ProblemAlert fault={limit.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={limit.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
