import { Alert, Button, Group, Modal, NumberInput, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { PlatformProblem } from '../api/client.ts'
import { type Quotas, type Tenant, tenantQuery, usePatchTenant } from '../api/tenants.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'
import { QUOTAS } from './quota-card.tsx'

type Props = { tenant: Tenant; etag: string | undefined; opened: boolean; onClose: () => void }

/** Overrides of the plan's quotas. What is saved is only what was changed, and only if nobody else has saved meanwhile. */
export function EditQuotas(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={`Quotas of ${props.tenant.name}`} size="lg">
      {props.opened && <QuotaForm {...props} />}
    </Modal>
  )
}

function QuotaForm({ tenant, etag, onClose }: Props) {
  const client = useQueryClient()
  const patch = usePatchTenant(tenant.tenant_id)
  // What was there when editing began: the document behind it may change while one types.
  const [before, setBefore] = useState({ quotas: tenant.quotas, etag })
  const [values, setValues] = useState<Partial<Record<keyof Quotas, number | null>>>({})
  const changed = QUOTAS.filter(({ id }) => id in values && values[id] !== before.quotas[id])
  const isConflict = patch.error instanceof PlatformProblem && patch.error.status === 412

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const quotas = Object.fromEntries(changed.map(({ id }) => [id, values[id] ?? null]))
    patch.mutate(
      { patch: { quotas }, etag: before.etag },
      {
        onSuccess: ({ requestId }) => {
          reportDone(`The quotas of ${tenant.name} are in force.`, requestId)
          onClose()
        },
      },
    )
  }
  const reload = async () => {
    const fresh = await client.fetchQuery({ ...tenantQuery(tenant.tenant_id), staleTime: 0 })
    setBefore({ quotas: fresh.tenant.quotas, etag: fresh.etag })
    patch.reset()
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm" c="dimmed">
          Overrides of the plan. An emptied field goes back to what the plan {tenant.plan} gives.
        </Text>
        {QUOTAS.map(({ id, label, format, used }) => {
          const value = id in values ? values[id] : before.quotas[id]
          const isBelowUse = value != null && used !== undefined && value < used(tenant)
          return (
            <NumberInput
              key={id}
              label={id.endsWith('_bytes') ? `${label}, bytes` : label}
              description={value == null ? 'The plan decides' : format(value)}
              error={
                isBelowUse ? 'Less than what is stored: writes will be refused until something is deleted.' : undefined
              }
              min={0}
              allowDecimal={false}
              allowNegative={false}
              thousandSeparator=" "
              value={value ?? ''}
              onChange={(next) => setValues({ ...values, [id]: next === '' ? null : Number(next) })}
            />
          )
        })}
        {changed.length > 0 && (
          <Alert color="blue" title="What will change">
            {changed.map(({ id, label, format }) => {
              const [from, to] = [before.quotas[id], values[id]]
              return (
                <Text size="sm" key={id}>
                  {label}: {from === null ? 'unlimited' : format(from)} → {to == null ? 'as the plan says' : format(to)}
                </Text>
              )
            })}
          </Alert>
        )}
        {patch.error !== null && (
          <ProblemAlert
            fault={patch.error}
            {...(isConflict ? { title: 'Somebody else has saved first', onRetry: () => void reload() } : {})}
          />
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={changed.length === 0} loading={patch.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
