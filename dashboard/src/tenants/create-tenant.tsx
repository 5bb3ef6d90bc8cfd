import { Button, Group, Loader, Modal, Select, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { CheckIcon } from '@radix-ui/react-icons'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { useNavigate } from 'react-router'
import { type Isolation, usePlans } from '../api/plans.ts'
import { nameQuery, operationQuery, useCreateTenant } from '../api/tenants.ts'
import { formatMoney } from '../format.ts'
import { IsolationChoice } from '../parts/isolation-choice.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { ShownKey } from '../parts/shown-key.tsx'
import { StatusDot } from '../parts/status-dot.tsx'

/** Makes a tenant: the name is checked as it is typed, and its keys are shown, this once, while it comes to life. */
export function CreateTenant({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="New tenant" size="lg">
      {opened && <CreateForm onClose={onClose} />}
    </Modal>
  )
}

function CreateForm({ onClose }: { onClose: () => void }) {
  const plans = usePlans()
  const create = useCreateTenant()
  const [name, setName] = useState('')
  const [asked] = useDebouncedValue(name, 200)
  const check = useQuery(nameQuery(asked))
  const [planId, setPlanId] = useState<string>()
  const [isolation, setIsolation] = useState<Isolation>('schema')
  // The same click twice, or a lost answer, makes one tenant.
  const [idempotencyKey] = useState(() => crypto.randomUUID())

  const plan = plans?.data.find((one) => one.id === (planId ?? plans.default_plan))
  const isChecked = asked === name && check.data?.name === name
  const complaint =
    name !== '' && isChecked && check.data?.available === false ? check.data.reasons.join('; ') : undefined
  const isFree = name !== '' && isChecked && check.data?.available === true
  const offered = plan?.isolations ?? []
  const chosen = offered.includes(isolation) ? isolation : 'schema'

  if (create.data !== undefined)
    return (
      <Progress
        operationId={create.data.accepted.operation_id}
        keys={create.data.accepted.keys}
        name={name}
        onClose={onClose}
      />
    )

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (plan !== undefined) create.mutate({ name, plan: plan.id, isolation: chosen, idempotencyKey })
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="lg">
        <TextInput
          label="Name"
          description={`Its address becomes https://${name === '' ? '‹name›' : name}.${window.location.hostname.replace(/^control\./, '')}`}
          placeholder="acme"
          data-autofocus
          autoComplete="off"
          spellCheck={false}
          maxLength={40}
          value={name}
          onChange={(event) => setName(event.currentTarget.value.toLowerCase())}
          error={complaint === undefined ? undefined : `The name ${complaint}.`}
          rightSection={
            name === '' ? null : isFree ? (
              <CheckIcon color="var(--good)" role="img" aria-label="The name is free" />
            ) : check.isFetching || !isChecked ? (
              <Loader size={14} aria-label="Checking the name" />
            ) : null
          }
        />
        <Select
          label="Plan"
          allowDeselect={false}
          data={
            plans?.data.map((one) => ({
              value: one.id,
              label: `${one.title}, ${one.base_fee_micros === 0 ? 'free' : `${formatMoney(one.base_fee_micros, plans.currency)} a month`}`,
            })) ?? []
          }
          value={plan?.id ?? null}
          onChange={(value) => value !== null && setPlanId(value)}
        />
        <IsolationChoice plan={plan} currency={plans?.currency ?? 'USD'} value={chosen} onChange={setIsolation} />
        {create.error !== null && <ProblemAlert fault={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!isFree || plan === undefined}>
            Create tenant
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function Progress(props: {
  operationId: string
  name: string
  keys: { anon: string; service: string }
  onClose: () => void
}) {
  const operation = useQuery(operationQuery(props.operationId))
  const navigate = useNavigate()
  const status = operation.data?.status ?? 'running'
  return (
    <Stack gap="lg">
      <Group gap="sm" role="status">
        {status === 'running' && <Loader size="xs" />}
        <Text fw={550}>{props.name}</Text>
        <StatusDot
          status={status}
          label={
            status === 'running'
              ? `Provisioning${operation.data?.step ? `: ${operation.data.step}` : ''}`
              : status === 'succeeded'
                ? 'Serves requests'
                : 'Failed'
          }
        />
      </Group>
      {operation.error !== null && <ProblemAlert fault={operation.error} />}
      {operation.data?.error !== undefined ? (
        <ProblemAlert title="The tenant could not be made" fault={new Error(operation.data.error.detail)} />
      ) : (
        <>
          <Text size="sm" c="dimmed">
            These are its keys. They are stored as digests only, so this is the one time that they can be shown.
          </Text>
          <ShownKey label="Anonymous key, for browsers and apps" value={props.keys.anon} />
          <ShownKey
            label="Service key, for servers only: it sees all of the tenant's data"
            value={props.keys.service}
          />
        </>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={props.onClose}>
          Close
        </Button>
        <Button
          disabled={status !== 'succeeded'}
          onClick={() => {
            props.onClose()
            void navigate(`/tenants/${operation.data?.tenant_id}`)
          }}
        >
          Open the tenant
        </Button>
      </Group>
    </Stack>
  )
}
